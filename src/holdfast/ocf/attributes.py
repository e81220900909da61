"""What agents write down for each other: scores and other attributes of hosts, as files that the stand-ins answer from.

`FOLDER/HOST/reboot/NAME` and `FOLDER/HOST/forever/NAME` hold one value each, `FOLDER/@cluster/forever/NAME` what belongs to
no host; `hosts` and `roles/RESOURCE` are what we tell agents about their peers. "reboot" lives as long as the host's boot.
What an agent wrote for another host, or should know of one, is carried by `sharing`.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

PROMOTED, UNPROMOTED = "Promoted", "Unpromoted"
INFINITY = 1_000_000  # as Pacemaker counts
CLUSTER = "@cluster"  # stands in for a host in what belongs to none
_BOOT = "boot"
_ROLES = "roles"


class Attributes:
    """The attributes that the agents of one state directory know."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.on_acted: Callable[[], None] = lambda: None  # an agent may have written something

    def begin(self, boot: str) -> None:
        """Make the folder; forget what an earlier boot left. OSError: it cannot be made."""
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        mark = self.folder / _BOOT
        if mark.exists() and mark.read_text("utf-8") == boot:
            return
        for stale in self.folder.glob("*/reboot"):
            shutil.rmtree(stale, ignore_errors=True)
        mark.write_text(boot, "utf-8")

    def read(self, host: str, name: str, *, lifetime: str = "reboot") -> str | None:
        """Return one attribute of a host, None if it has none."""
        try:
            return (self.folder / host / lifetime / name).read_text("utf-8", "replace").rstrip("\n")
        except OSError:
            return None

    def of(self, host: str, *, lifetime: str = "reboot") -> dict[str, str]:
        """Return all attributes of a host."""
        try:
            names = sorted(
                path.name for path in (self.folder / host / lifetime).iterdir() if not _is_beside(path)
            )
        except OSError:
            return {}
        return {
            name: value for name in names if (value := self.read(host, name, lifetime=lifetime)) is not None
        }

    def hosts(self) -> tuple[str, ...]:
        """Return the hosts of which something is known, and `CLUSTER` if there is anything that belongs to none."""
        try:
            return tuple(
                sorted(path.name for path in self.folder.iterdir() if path.is_dir() and path.name != _ROLES)
            )
        except OSError:
            return ()

    def swap(self, host: str, lifetime: str, name: str, before: str | None, after: str | None) -> None:
        """Replace one value by another, None: there is none; what an agent has changed meanwhile stays."""
        if self.read(host, name, lifetime=lifetime) != before:
            return
        path = self.folder / host / lifetime / name
        # What cannot be written is missing, and an agent without a score is not chosen.
        with contextlib.suppress(OSError):
            if after is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, after)

    def score_of(self, host: str, resource: str) -> int | None:
        """Return how much an agent wants the resource promoted on `host`; None: it said nothing, and must not be."""
        if self.read(host, f"ban-{resource}") is not None:
            return -INFINITY
        return as_score(self.read(host, f"master-{resource}"))

    def tell_hosts(self, hosts: Mapping[str, bool]) -> None:
        """Tell the agents which hosts there are, and which of them are there now."""
        self._tell("hosts", [f"{host} {'yes' if is_there else 'no'}" for host, is_there in hosts.items()])

    def tell_roles(self, resource: str, roles: Mapping[str, str]) -> None:
        """Tell the agents on which hosts the resource runs, and as what."""
        self._tell(f"{_ROLES}/{resource}", [f"{host} {role}" for host, role in roles.items()])

    def _tell(self, name: str, lines: list[str]) -> None:
        path = self.folder / name
        text = "".join(f"{line}\n" for line in lines)
        with contextlib.suppress(OSError):
            if not path.exists() or path.read_text("utf-8") != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, text.removesuffix("\n"))


def as_score(text: str | None) -> int | None:
    """Return the score that a text stands for, bounded as Pacemaker does it; None if it is none."""
    match (text or "").strip().upper().removeprefix("+"):
        case "INFINITY":
            return INFINITY
        case "-INFINITY":
            return -INFINITY
        case number if number.removeprefix("-").isdecimal():
            return max(-INFINITY, min(INFINITY, int(number)))
        case _:
            return None


def _is_beside(path: Path) -> bool:
    """Tell whether it is the next value of an attribute, not yet in its place: `NAME.NUMBER`."""
    return path.suffix[1:].isdecimal()


def _write(path: Path, value: str) -> None:
    beside = path.with_name(f"{path.name}.{id(value)}")
    beside.write_text(f"{value}\n", "utf-8")
    beside.rename(path)
