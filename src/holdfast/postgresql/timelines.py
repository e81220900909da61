"""Timelines: each has a number that nobody else ever begins.

PostgreSQL gives a promoted server the number after the newest that it knows of itself. So two members that are promoted one after
the other from the same log, the second one without a word of the first, would both begin timeline 3, and their logs part where
nothing shows it: a standby would replay one over the other. Here the number comes from the coordinator, under the lease, and
the numbers in between are shown to PostgreSQL as taken: a history file that names no ancestors is no way for anybody to follow.
Such files stay, as standbys ask their primary for the history of each timeline up to its own.
"""

from pathlib import Path

from holdfast.model.ids import Epoch, ServiceName
from holdfast.postgresql import files
from holdfast.postgresql.books import Books
from holdfast.postgresql.control import Control
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Position, history_file, parse_history

_TAKEN = "# begun by another member, or by nobody\n"


async def draw(instance: Instance, service: ServiceName, books: Books, lease: Epoch, own: int) -> int | str:
    """Return the timeline that a standby on `own` begins if it is promoted under `lease`, and nobody else ever; or why not.

    The transaction that gives the number asks for the lease.
    """
    number = await books.begin_timeline(service, newest_known(instance, own), lease)
    return number if isinstance(number, int) else f"it has no number for a timeline: {number}"


def newest_known(instance: Instance, own: int) -> int:
    """Return the newest timeline that a server on timeline `own` would find: PostgreSQL looks for one after the other."""
    while _history(instance, own + 1).exists():
        own += 1
    return own


def show_as_taken(instance: Instance, own: int, number: int) -> None:
    """Have the server on timeline `own` begin `number` when it is promoted. OSError, NoAccount otherwise."""
    for taken in range(own + 1, number):
        if not _history(instance, taken).exists():
            files.write_file(instance, _history(instance, taken), _TAKEN)


def forget_dead_ends(instance: Instance, control: Control) -> None:
    """Remove histories of timelines that this data can never be on, from where they would be the newest. OSError otherwise.

    A standby may have learned of a timeline that left its own before a place that it had replayed already. Started so, and with
    nobody to follow yet, it would try to go there and end: it could not even stand still and tell how far its log goes. So it
    would with what shows numbers as taken, if a promotion did not come to its end.
    """
    own = control.position
    later = {
        timeline: path
        for path in (instance.folder / "pg_wal").glob("*.history")
        if (timeline := int(path.stem, 16)) > own.timeline
    }
    # One that it can be on stays, and all before it: PostgreSQL looks for one after the other.
    newest = max((t for t, path in later.items() if _leads_on(t, path, own)), default=own.timeline)
    for timeline, path in later.items():
        if timeline > newest:
            path.unlink()


def _leads_on(timeline: int, path: Path, own: Position) -> bool:
    try:
        left = parse_history(timeline, path.read_text("ascii", "replace")).left(own.timeline)
    except ValueError:
        return True  # what nobody understands is PostgreSQL's to tell
    return left is not None and left >= own.lsn


def _history(instance: Instance, timeline: int) -> Path:
    return instance.folder / "pg_wal" / history_file(timeline)
