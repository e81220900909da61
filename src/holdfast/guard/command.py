"""How the guard is started: a bare interpreter that knows one folder, in an environment that is nearly empty."""

import os
import sys

MODULE = "holdfast.guard"


def command(
    directory: str, *, watchdog: str = "", watchdog_timeout: int = 0, unless_running: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Return arguments and environment of the guard of `directory`.

    `watchdog_timeout` is in seconds, 0 leaves the device's own. `unless_running`: end at once where another guard is on
    watch, instead of standing by to take over from it.
    """
    # -S: no site packages, which saves memory and start-up; -P: nothing is imported from where it happens to be started.
    arguments = [sys.executable, "-S", "-P", "-m", MODULE, "--directory", os.path.abspath(directory)]
    if watchdog:
        arguments += ["--watchdog", os.path.abspath(watchdog)]
    if watchdog_timeout:
        arguments += ["--watchdog-timeout", str(watchdog_timeout)]
    if unless_running:
        arguments.append("--unless-running")
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return arguments, {"PYTHONPATH": home, "PATH": os.defpath}
