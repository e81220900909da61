"""What is written beside a component that an agent looks after: `components/SERVICE/MEMBER/ocf.json`.

Such a component may be no process at all, so nothing but this says in which life it is and who started it with what. The count of
lives only grows, whatever boot it is: a life is never taken for another. The file stays when the component is stopped.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from holdfast.components.records import Folder, put_in_place
from holdfast.model.ids import ComponentId, Epoch, Incarnation, component_id
from holdfast.model.policy import OcfAgent
from holdfast.model.value import Value

_RECORD = "ocf.json"
PREFIX = "ocf:"


class OcfRecord(Value, frozen=True):
    """The newest life of a component."""

    life: int
    boot: str
    agent: OcfAgent  # secrets by their place
    run_digest: str
    epoch: Epoch
    is_primary: bool  # as we gave the role
    is_begun: bool  # it was started and not proven stopped since
    log_max_bytes: int = 10_000_000
    cgroup: str = ""  # where it was put; empty: nowhere

    @property
    def incarnation(self) -> Incarnation:
        """Return its life as the model writes it."""
        return f"{PREFIX}{self.life}"


def read(folder: Folder) -> OcfRecord | None:
    """Return the record, None if there is none. What cannot be read was not written by us."""
    try:
        return msgspec.json.decode((folder.path / _RECORD).read_bytes(), type=OcfRecord)
    except (OSError, msgspec.DecodeError):
        return None


def write(folder: Folder, record: OcfRecord) -> None:
    """Replace the record in one step."""
    folder.make()
    put_in_place(folder.path / _RECORD, msgspec.json.encode(record))


def recorded(directory: Path) -> Iterator[ComponentId]:
    """Yield every component that has a record."""
    for path in (directory / "components").glob(f"*/*/{_RECORD}"):
        yield component_id(path.parent.parent.name, path.parent.name)
