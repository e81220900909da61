"""What agents write down, on several hosts: our files follow what stands in one common place, which follows them.

An agent waits for nobody: it reads and writes files here. So a host *knows* what it last saw in the common place. Where a file differs from
that, an agent here has written, and the difference is carried there; what changed there meanwhile is taken over, unless the file changed
too. What is known outlives us: without it a value that we missed would look like one that was written here, and win.
"""

import contextlib
import re
from pathlib import Path
from typing import TypeAlias

import msgspec

from holdfast.components.records import put_in_place
from holdfast.model.value import Value, replace
from holdfast.ocf.attributes import Attributes

_NAME = re.compile(r"[A-Za-z0-9_@:][A-Za-z0-9_.@:+-]*")
_LINES = frozenset("\n\r\0")
LIFETIMES = ("reboot", "forever")
Changes: TypeAlias = dict[tuple[str, str], str | None]  # (lifetime, name) -> value; None: it was deleted


class Noted(Value, frozen=True):
    """The attributes of one host, or of none (`CLUSTER`)."""

    reboot: dict[str, str] = {}
    forever: dict[str, str] = {}

    def of(self, lifetime: str) -> dict[str, str]:
        """Return those that live so long."""
        return self.reboot if lifetime == "reboot" else self.forever

    def after(self, changes: Changes) -> "Noted":
        """Return them after these changes."""
        found = {lifetime: dict(self.of(lifetime)) for lifetime in LIFETIMES}
        for (lifetime, name), value in changes.items():
            if value is None:
                found[lifetime].pop(name, None)
            else:
                found[lifetime][name] = value
        return Noted(**found)


def may_be_carried(name: str, value: str | None) -> bool:
    """Tell whether an attribute is one as agents write them. A name becomes a file's: nobody else may choose files of ours."""
    is_name = _NAME.fullmatch(name) is not None and not name.rpartition(".")[2].isdecimal()
    return is_name and (value is None or not _LINES.intersection(value))


class _Memory(Value, frozen=True):
    boot: str
    known: dict[str, Noted]


class Replica:
    """The attributes of one state directory, as one of several copies."""

    def __init__(self, attributes: Attributes, me: str, boot: str) -> None:
        """`me` is this host's name. After `Attributes.begin`, as what this boot has not seen does not count."""
        self._attributes = attributes
        self._path: Path = attributes.folder / "shared.json"
        self._boot = boot
        self.known: dict[str, Noted] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError):
            memory = msgspec.json.decode(self._path.read_bytes(), type=_Memory)
            is_ours = memory.boot == boot
            # Of another boot: our own attributes ended with it, which has to be told; those of others we have to learn anew.
            self.known = {
                host: noted if is_ours or host == me else replace(noted, reboot={})
                for host, noted in memory.known.items()
            }

    def changes(self) -> dict[str, Changes]:
        """Return what agents here have changed since, by host."""
        found = {host: self._changes(host) for host in sorted({*self.known, *self._attributes.hosts()})}
        return {host: changes for host, changes in found.items() if changes}

    def _changes(self, host: str) -> Changes:
        known = self.known.get(host, Noted())
        found: Changes = {}
        for lifetime in LIFETIMES:
            before, after = known.of(lifetime), self._attributes.of(host, lifetime=lifetime)
            for name in before.keys() | after.keys():
                if before.get(name) != after.get(name) and may_be_carried(name, after.get(name)):
                    found[lifetime, name] = after.get(name)
        return found

    def learn(self, host: str, noted: Noted) -> None:
        """Take over what stands in the common place."""
        before = self.known.get(host, Noted())
        if noted == before:
            return
        for lifetime in LIFETIMES:
            old, new = before.of(lifetime), noted.of(lifetime)
            for name in old.keys() | new.keys():
                if old.get(name) != new.get(name):
                    self._attributes.swap(host, lifetime, name, old.get(name), new.get(name))
        self.known[host] = noted
        self._remember()

    def forget(self, host: str) -> None:
        """Learn that nothing at all stands there: what is here is to be carried there."""
        if self.known.pop(host, None) is not None:
            self._remember()

    def _remember(self) -> None:
        # Where it cannot be written, our next life takes what is here for new: its agents put that right with their next monitor.
        with contextlib.suppress(OSError):
            put_in_place(self._path, msgspec.json.encode(_Memory(self._boot, self.known)))
