"""Python environments for peers: what a benchmark compares with is never a dependency of holdfast."""

import subprocess
import sys
from pathlib import Path
from typing import Final

# Debian's, since the users that servers run as have to be able to run it: an interpreter in somebody's home often is closed to others.
PYTHON: Final = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
CACHE: Final = Path(__file__).parents[2] / ".cache"


def place(name: str) -> Path:
    """Return the folder of the programs of an environment."""
    return CACHE / f"bench-{name}" / "bin"


def prepare(name: str, requirements: Path) -> None:
    """Make the environment, unless it is there with all that is required."""
    folder = place(name).parent
    stamp, wanted = folder / "installed", f"{PYTHON}\n{requirements.read_text('utf-8')}"
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        subprocess.run([PYTHON, "-m", "venv", "--clear", str(folder)], check=True)
        install = ("-m", "pip", "install", "-q", "-q", "--disable-pip-version-check", "-r", str(requirements))
        subprocess.run([str(place(name) / "python"), *install], check=True)
        stamp.write_text(wanted, "utf-8")
