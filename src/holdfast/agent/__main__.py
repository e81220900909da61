"""`python -m holdfast.agent FILE`: the agent without the command line around it."""

import argparse
import sys
from pathlib import Path

from holdfast.agent.log import Format
from holdfast.agent.running import run


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m holdfast.agent", description=__doc__)
    parser.add_argument("file", type=Path, help="the system's holdfast.yaml")
    parser.add_argument("--directory", type=Path, help="state directory; default: see HOLDFAST_DIRECTORY")
    parser.add_argument("--log", choices=[form.value for form in Format], default=Format.TEXT.value)
    given = parser.parse_args()
    return run(given.file, given.directory, log_format=Format(given.log))


if __name__ == "__main__":
    sys.exit(main())
