"""The guard's memory outlives it: one small file with the armed set, deadlines included, and the lock of the place.

A guard that was killed is started again by systemd or by the agent, and then has the same deadlines as before: no default
that is shorter than what the agent was promised, none that is longer than what its lease allows. So it is written at each
change. That costs some ten microseconds, because it is not on a disk: a disk that hangs would take the guard with it, and
instants of this boot are worth nothing after the next. It is under /run; only where that cannot be used it is in the
agent's state directory.
"""

import fcntl
import json
import os
import zlib

from holdfast.guard.armed import Armed, ArmedSet
from holdfast.guard.facts import Facts, text, whole

_VERSION = 1
_NAME_MAX = 150  # characters; a file name may have 255


class Memory:
    """The file and the lock; whoever holds this is the guard of `directory`."""

    def __init__(self, path: str, lock: int, warning: str = "") -> None:
        self.path = path
        self.warning = warning
        self._lock = lock

    @classmethod
    def take(cls, directory: str, *, is_patient: bool) -> "Memory | None":
        """Take the lock. While another guard has it: wait for its end if patient, None if not. OSError: no place."""
        os.stat(directory)  # where it is missing nothing is left elsewhere
        name, warning = place_of(directory)
        lock = os.open(f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(f"{name}.json", lock, warning)

    def recall(self, boot: str) -> tuple[ArmedSet, str]:
        """Return what was armed, and what is wrong with the memory, if anything."""
        armed = ArmedSet()
        try:
            with open(self.path, "rb") as file:
                said = json.loads(file.read())
            entries = said["armed"] if said["v"] == _VERSION and said["boot"] == boot else {}
            for component, entry in entries.items():
                facts, deadline = Facts.from_json(entry["facts"]), whole(entry["deadline"], "deadline")
                armed.components[text(component, "component")] = Armed(facts, deadline)
        except FileNotFoundError:
            return armed, ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            return armed, f"{self.path} cannot be read ({error}); what was armed has to be armed again"
        return armed, ""

    def keep(self, armed: ArmedSet, boot: str) -> str:
        """Write down the armed set in one step; return what went wrong, if anything."""
        entries = {
            component: {"facts": each.facts.as_json(), "deadline": each.deadline}
            for component, each in armed.components.items()
        }
        beside = f"{self.path}.new"
        try:
            if not entries:
                _remove(self.path)
                return ""
            descriptor = os.open(
                beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                content = json.dumps({"v": _VERSION, "boot": boot, "armed": entries}).encode("ascii")
                if os.write(descriptor, content) != len(content):
                    return f"{beside}: no space left"
            finally:
                os.close(descriptor)
            os.rename(beside, self.path)
        except OSError as error:
            return f"{error.filename or beside}: {error.strerror}"
        return ""

    def close(self) -> None:
        """Let go of the place."""
        os.close(self._lock)


def place_of(directory: str) -> tuple[str, str]:
    """Return how the paths of the guard's files begin, and what is wrong with their place, if anything."""
    folder, warning = _folder(directory)
    return os.path.join(folder, _escape(os.path.realpath(directory))), warning


def _folder(directory: str) -> tuple[str, str]:
    """Return where the memory is, and what is wrong with that place, if anything."""
    user = os.geteuid()
    folder = "/run/holdfast-guard" if user == 0 else f"/run/user/{user}/holdfast-guard"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.stat(folder).st_uid == user and os.access(folder, os.W_OK | os.X_OK):
            return folder, ""
        why = "belongs to somebody else, or may not be written to"
    except OSError as error:
        why = f"cannot be made ({error.strerror})"
    return directory, f"{folder} {why}: what is armed is kept in {directory}, on a disk that may hang"


def _escape(path: str) -> str:
    name = path.strip("/").replace("%", "%25").replace("/", "%2F")
    return name if len(name) <= _NAME_MAX else f"{zlib.crc32(name.encode()):08x}-{name[-_NAME_MAX:]}"


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
