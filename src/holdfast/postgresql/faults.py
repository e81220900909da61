"""Faults: why a server did not do what it was asked, named from SQLSTATE and never from a text.

Texts are in the server's language, codes are not. What libpq says of a connection that failed is a text only, so
`connection.py` asks for the code once more by itself.
"""

from enum import StrEnum

from holdfast.model.value import Value


class Fault(StrEnum):
    """What kept the answer back."""

    REFUSED = "refused"  # nobody listens: it does not run, or listens elsewhere
    SILENT = "silent"  # the kernel took the connection, and the server said nothing in time
    NOT_READY = "not ready"  # it starts up, recovers or shuts down
    FULL = "full"  # all connections are taken, those reserved for us too
    DENIED = "denied"  # authentication, pg_hba.conf, or missing rights
    BROKEN = "broken"  # the connection ended in the middle
    READ_ONLY = "read-only"  # it is a standby, or its transactions are read-only
    DISK_FULL = "disk full"
    IO = "input/output"  # the disk failed, or is read-only
    DAMAGED = "damaged"  # data or index corruption
    MEMORY = "out of memory"
    SLOW = "slow"  # it took the question, and its own time limit ended it: a lock, a stuck disk, no standby
    LIMIT = "limit"  # something of the server's configuration is used up
    OTHER = "other"


# The longest beginning of the code wins.
_CODES = {
    "08": Fault.BROKEN,
    "57P01": Fault.BROKEN,  # an administrator ended the session
    "57P02": Fault.BROKEN,  # another session crashed, so all are ended
    "57P03": Fault.NOT_READY,
    "57014": Fault.SLOW,  # cancelled: its statement_timeout, in our case
    "55P03": Fault.SLOW,
    "53300": Fault.FULL,
    "53100": Fault.DISK_FULL,
    "53200": Fault.MEMORY,
    "53": Fault.LIMIT,
    "54": Fault.LIMIT,
    "28": Fault.DENIED,
    "42501": Fault.DENIED,
    "3D000": Fault.DENIED,  # our database does not exist
    "25006": Fault.READ_ONLY,
    "58030": Fault.IO,
    "58P01": Fault.IO,  # a file that has to be there is not
    "XX001": Fault.DAMAGED,
    "XX002": Fault.DAMAGED,
}


class Unanswered(Exception):  # noqa: N818 - it is an answer: the server is as it is
    """There is no answer. `fault` says of what kind, the text is for people."""

    def __init__(self, fault: Fault, text: str, sqlstate: str = "") -> None:
        super().__init__(text)
        self.fault = fault
        self.sqlstate = sqlstate


class Doubt(Value, frozen=True):
    """An `Unanswered` as a value."""

    fault: Fault
    text: str
    sqlstate: str = ""


def fault_of(sqlstate: str) -> Fault:
    """Return the fault that `sqlstate` means. EROFS comes as 42501: who is superuser was not denied anything."""
    for length in (5, 2):
        if (fault := _CODES.get(sqlstate[:length])) is not None:
            return fault
    return Fault.OTHER


def as_doubt(unanswered: Unanswered) -> Doubt:
    """Return it as a value that can be kept."""
    return Doubt(unanswered.fault, str(unanswered), unanswered.sqlstate)
