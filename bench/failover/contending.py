"""What every contender of a benchmark is: something that is raised, waited for and taken down without a trace."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab import network

POLL_S = 0.1


class Raised(network.Raised):
    """One high-availability manager with its own hosts. Made for one fault, and thrown away after it."""

    packages: Sequence[str] = ()  # Debian's, installed by `prepare`
    program: str = ""  # if it is on the PATH the packages are there
    folder: Path

    @classmethod
    def prepare(cls) -> None:
        """Install what is missing. Only the benchmark needs it, so only the benchmark installs it."""
        if cls.packages and shutil.which(cls.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            # RUNLEVEL=1: no service of the packages is started.
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
            install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", *cls.packages]
            for command in (["apt-get", "-q", "update"], install):
                subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    def until(self, holds: Callable[[], object], what: str, within_s: float, every_s: float = POLL_S) -> None:
        """Wait until it holds, looking so often."""
        give_up_at = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > give_up_at:
                logs = "\n".join(
                    f"--- {log}\n{log.read_text(errors='replace')[-2000:]}" for log in self._logs()
                )
                raise AssertionError(f"{type(self).__name__}: never came: {what}\n{logs}")
            time.sleep(every_s)

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))


def at_random_phase(longest_s: float) -> None:
    """Wait for a random time, so that a fault meets any moment between two checks or beats."""
    time.sleep(random.random() * longest_s)
