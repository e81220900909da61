"""Asking one server over a new connection, with one deadline for all of it.

A kept connection hides a server that takes no new ones, and a question in parts can take several deadlines. So each asks anew and
sends all it has to say in one piece, which the server works off without a word of anybody else's in between.
"""

import asyncio
from enum import StrEnum

from holdfast.model.ids import Epoch
from holdfast.model.time import SECOND, Duration
from holdfast.model.value import Value
from holdfast.redis.resp import Answer, MalformedError, Refusal, Word, command, read_answer

ACCOUNT = "holdfast"  # the user that members and agents log in as
_LIMIT = 1 << 20


class Fault(StrEnum):
    """Why a server does not do what it is asked, as Redis names it."""

    REFUSED = "refused"
    SILENT = "silent"
    LOADING = "loading"
    BUSY = "busy"
    NO_DISK = "no_disk"
    NO_MEMORY = "no_memory"
    TOO_FEW_STANDBYS = "too_few_standbys"
    NOT_LET_IN = "not_let_in"
    FULL = "full"
    READ_ONLY = "read_only"
    OTHER = "other"


_FAULTS = {
    "LOADING": Fault.LOADING,
    "BUSY": Fault.BUSY,
    "MISCONF": Fault.NO_DISK,
    "OOM": Fault.NO_MEMORY,
    "NOREPLICAS": Fault.TOO_FEW_STANDBYS,
    "NOAUTH": Fault.NOT_LET_IN,
    "WRONGPASS": Fault.NOT_LET_IN,
    "NOPERM": Fault.NOT_LET_IN,
    "DENIED": Fault.NOT_LET_IN,
    "READONLY": Fault.READ_ONLY,
}


class Unanswered(Exception):  # noqa: N818 - it is an answer, not a fault of ours
    """It was not done; the text says why."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


class Where(Value, frozen=True):
    """A server, and what we log in with."""

    host: str
    port: int
    password: str


class Stamp(Value, frozen=True):
    """What a primary writes into its data: under which epoch it was promoted, and how far its stream had come at the time."""

    epoch: Epoch
    place: int

    def text(self) -> str:
        """Return it as it stands in the data."""
        return f"{self.epoch} {self.place}"


class Standing(Value, frozen=True):
    """How a server is, by its own word."""

    is_primary: bool
    upstream: tuple[str, int] | None = None  # whom it was told to follow
    is_following: bool = False  # the link is up
    is_copying: bool = False  # it takes a copy of all data: what it has meanwhile is not whole
    place: int = 0  # how far the stream of writes that it has goes; 0: not known since it was started
    followers: tuple[tuple[str, int, str, int], ...] = ()  # host, port, state, place
    keys: int = 0
    stamp: Stamp | None = None


def refusal(answer: Refusal) -> Unanswered:
    """Return the error with its cause named."""
    if "max number of clients" in answer.text:
        return Unanswered(Fault.FULL, answer.text)
    return Unanswered(_FAULTS.get(answer.code, Fault.OTHER), answer.text)


async def ask(where: Where, *commands: tuple[Word, ...], within: Duration = 2 * SECOND) -> list[Answer]:
    """Return the answers to `commands`, each of which the server took. Unanswered at the first that it refused.

    They are sent in one piece, and the server works them off one after the other.
    """
    answers = await try_all(where, *commands, within=within)
    for answer in answers:
        if isinstance(answer, Refusal):
            raise refusal(answer)
    return answers


async def try_all(where: Where, *commands: tuple[Word, ...], within: Duration = 2 * SECOND) -> list[Answer]:
    """Return the answers, refusals among them. Unanswered if it did not answer all of it in time, or did not let us in."""
    try:
        async with asyncio.timeout(within / SECOND):
            return await _exchange(where, commands)
    except TimeoutError:
        raise Unanswered(Fault.SILENT, f"no answer within {within / SECOND:.3g} s") from None
    except MalformedError as error:
        raise Unanswered(Fault.OTHER, f"what answers is no Redis: {error}") from None
    except EOFError:
        raise Unanswered(Fault.REFUSED, "it closed the connection") from None
    except OSError as error:
        raise Unanswered(Fault.REFUSED, error.strerror or str(error)) from None


async def _exchange(where: Where, commands: tuple[tuple[Word, ...], ...]) -> list[Answer]:
    reader, writer = await asyncio.open_connection(where.host, where.port, limit=_LIMIT)
    try:
        login = ("AUTH", ACCOUNT, where.password)
        writer.write(b"".join(command(*words) for words in (login, *commands)))
        entrance = await read_answer(reader)
        if isinstance(entrance, Refusal):
            raise refusal(entrance)
        return [await read_answer(reader) for _ in commands]
    finally:
        writer.transport.abort()


def standing_questions(stamp_key: str) -> tuple[tuple[Word, ...], ...]:
    """Return what has to be asked for `standing_of`."""
    return ("INFO", "replication"), ("GET", stamp_key), ("DBSIZE",)


async def ask_standing(where: Where, stamp_key: str, within: Duration = 2 * SECOND) -> Standing:
    """Return how the server is. Unanswered otherwise."""
    return standing_of(await ask(where, *standing_questions(stamp_key), within=within))


def standing_of(answers: list[Answer]) -> Standing:
    """Return how the server is, from its answers to `standing_questions`."""
    told, stamp, keys = answers
    fields = fields_of(told)
    is_primary = fields.get("role") == "master"
    link = fields.get("master_link_status") == "up"
    host, port = fields.get("master_host", ""), whole(fields.get("master_port"))
    return Standing(
        is_primary=is_primary,
        upstream=None if is_primary else (host, port),
        is_following=link,
        is_copying=fields.get("master_sync_in_progress") == "1",
        place=whole(fields.get("master_repl_offset" if is_primary else "slave_repl_offset")),
        followers=tuple(_follower(text) for name, text in fields.items() if _is_follower(name)),
        keys=keys if isinstance(keys, int) else 0,
        stamp=_stamp(stamp),
    )


def fields_of(told: Answer) -> dict[str, str]:
    """Return what INFO tells, by name."""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _is_follower(name: str) -> bool:
    return name.startswith("slave") and name[5:].isdecimal()


def _follower(text: str) -> tuple[str, int, str, int]:
    parts = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    return parts.get("ip", ""), whole(parts.get("port")), parts.get("state", ""), whole(parts.get("offset"))


def _stamp(answer: Answer) -> Stamp | None:
    words = answer.decode("utf-8", "replace").split() if isinstance(answer, bytes) else []
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return Stamp(int(words[0]), int(words[1]))


def whole(text: str | None) -> int:
    """Return the number; 0 if there is none."""
    return int(text) if text is not None and text.isdecimal() else 0
