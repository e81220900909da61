"""What pg_control says: the one file that tells the truth about an instance that does not run.

It is read through `pg_controldata`, of the same version as the data: the file's layout changes with each one.
"""

from enum import StrEnum

from holdfast.model.time import SECOND
from holdfast.model.value import Value
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Lsn, Position, Timeline, parse_lsn
from holdfast.postgresql.programs import run


class State(StrEnum):
    """How the instance was when it last wrote to pg_control."""

    STARTING = "starting up"
    SHUT_DOWN = "shut down"
    SHUT_DOWN_IN_RECOVERY = "shut down in recovery"
    SHUTTING_DOWN = "shutting down"
    IN_CRASH_RECOVERY = "in crash recovery"
    IN_RECOVERY = "in archive recovery"  # a standby, or it recovers to a point in time
    IN_PRODUCTION = "in production"
    UNKNOWN = "unknown"

    @property
    def is_clean(self) -> bool:
        """Tell whether it was stopped in good order: nothing has to be recovered before it is rewound."""
        return self in {State.SHUT_DOWN, State.SHUT_DOWN_IN_RECOVERY}


# Parameters that a standby must have at least as large as its primary; pg_control has the primary's.
HOT_STANDBY_PARAMETERS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


class Control(Value, frozen=True):
    """What pg_control says, as far as we use it."""

    system: str  # the system identifier: data of another system must never be mixed with ours
    state: State
    timeline: (
        Timeline  # of the last checkpoint: older than the real one from a promotion to its first checkpoint
    )
    checkpoint: Lsn  # where the record of the last checkpoint begins
    redo: Lsn  # where recovery begins
    recovery_end: Position  # at least this far it has to recover before it is consistent
    backup_start: Lsn  # not 0: it is a copy whose backup has not been replayed to its end
    has_checksums: bool
    has_hint_log: bool  # wal_log_hints
    minimums: dict[str, int]  # what a standby needs at least; see HOT_STANDBY_PARAMETERS

    @property
    def is_rewindable(self) -> bool:
        """Tell whether pg_rewind can work: it must find each changed page in the log."""
        return self.has_checksums or self.has_hint_log

    @property
    def position(self) -> Position:
        """Return how far its log certainly goes. The log itself may go further."""
        return max(Position(self.timeline, self.checkpoint), self.recovery_end)


class Unreadable(Exception):  # noqa: N818 - it is an answer about the data, not a fault of ours
    """pg_control cannot be read: there is no instance, or it is damaged. The text says why."""


def parse_control(text: str) -> Control:
    """Return what `pg_controldata` printed under LC_ALL=C; Unreadable names what is missing."""
    fields = {
        name.strip(): value.strip()
        for name, colon, value in (line.partition(":") for line in text.splitlines())
        if colon
    }
    try:
        state = fields["Database cluster state"]
        return Control(
            system=fields["Database system identifier"],
            state=State(state) if state in set(State) else State.UNKNOWN,
            timeline=int(fields["Latest checkpoint's TimeLineID"]),
            checkpoint=parse_lsn(fields["Latest checkpoint location"]),
            redo=parse_lsn(fields["Latest checkpoint's REDO location"]),
            recovery_end=Position(
                int(fields["Min recovery ending loc's timeline"]),
                parse_lsn(fields["Minimum recovery ending location"]),
            ),
            backup_start=parse_lsn(fields["Backup start location"]),
            has_checksums=fields["Data page checksum version"] != "0",
            has_hint_log=fields["wal_log_hints setting"] == "on",
            minimums={name: int(fields[line]) for name, line in HOT_STANDBY_PARAMETERS.items()},
        )
    except KeyError as missing:
        raise Unreadable(f"pg_controldata does not tell {missing}") from None
    except ValueError as error:
        raise Unreadable(f"pg_controldata tells nonsense: {error}") from None


async def read_control(instance: Instance) -> Control:
    """Return what pg_control says, within some milliseconds; Unreadable otherwise."""
    done = await run(instance, (instance.program("pg_controldata"), instance.data), within=10 * SECOND)
    # It warns of a wrong checksum, prints what it read all the same, and ends with 0.
    if done.code != 0 or "WARNING: Calculated CRC checksum" in done.output:
        raise Unreadable(done.last_words or "pg_control is damaged")
    return parse_control(done.output)
