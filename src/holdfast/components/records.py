"""What is written beside a process, so that the next agent knows it: `components/SERVICE/MEMBER/record.json`.

A record that exists is the truth about which process is the main one: if that one is gone, whatever else is found
is left over and not the component. So the record is removed just before a start, when nothing is left of the last
life, and written again right after. An agent that dies in between leaves a process without a record; what the
record would say is then read from the process's environment (see `marking`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.components.procfs import Identity
from holdfast.model.ids import ComponentId, Epoch, component_id, member_of, service_of
from holdfast.model.value import Value

_RECORD = "record.json"


class Record(Value, frozen=True):
    """The main process of a component, and its role."""

    pid: int
    ticks: int
    boot: str
    run_digest: str
    epoch: Epoch
    is_primary: bool
    started: int = 0  # seconds since 1970, for people
    cgroup: str = ""  # where it was put; empty: nowhere
    log_max_bytes: int = 10_000_000
    output_from: int = 0  # its own output begins there

    @property
    def identity(self) -> Identity:
        """Return which process it is about."""
        return Identity(self.pid, self.ticks)


class Folder:
    """The folder of one component."""

    def __init__(self, directory: Path, component: ComponentId) -> None:
        self.path = directory / "components" / service_of(component) / member_of(component)
        self.output = self.path / "output.log"
        self.working = self.path / "cwd"

    def make(self) -> None:
        """Make it if it is missing."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.working.mkdir(mode=0o700, exist_ok=True)

    def read(self, boot: str) -> Record | None:
        """Return the record, None if there is none of this boot. What cannot be read was not written by us."""
        try:
            record = msgspec.json.decode((self.path / _RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None
        return record if record.boot == boot else None

    def write(self, record: Record) -> None:
        """Replace the record in one step. It tells about processes, so it need not survive a power cut."""
        put_in_place(self.path / _RECORD, msgspec.json.encode(record))

    def keep(self, record: Record) -> None:
        """Write the record if it is not there: somebody removed it, or the folder."""
        if not (self.path / _RECORD).exists():
            self.make()
            self.write(record)

    def forget(self) -> None:
        """Remove the record."""
        (self.path / _RECORD).unlink(missing_ok=True)


def recorded(directory: Path) -> Iterator[ComponentId]:
    """Yield every component that has a record, of whatever boot."""
    for path in (directory / "components").glob(f"*/*/{_RECORD}"):
        yield component_id(path.parent.parent.name, path.parent.name)


def put_in_place(path: Path, content: bytes) -> None:
    """Write a small file that only we may read, in one step."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    beside.rename(path)
