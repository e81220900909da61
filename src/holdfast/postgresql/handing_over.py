"""Handing over: what comes right before a server that takes writes is shut down, and right after."""

import asyncio
import time

from holdfast.model.ids import ComponentId, service_of
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql.asking import ASK_WITHIN, local
from holdfast.postgresql.books import Books
from holdfast.postgresql.comparing import end_at_rest
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Position

_LOOK_AGAIN = 10 * MILLISECOND
_NAMED_MAX = 5
_SUCCEEDED_WITHIN: Duration = 2 * SECOND

_OPEN = """
select pid::text || '@' || xact_start, pid, coalesce(usename, ''), coalesce(state, ''),
  round(extract(epoch from clock_timestamp() - xact_start))
from pg_stat_activity
where backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()
  and coalesce(wait_event, '') <> 'SyncRep' order by xact_start
"""


class _Open(Value, frozen=True):
    """A transaction that is open."""

    id: str  # of this very transaction
    words: str


async def until_transactions_end(instance: Instance, within: Duration) -> tuple[str, ...]:
    """Await that the transactions that are open now end; return those that did not, for people. Unanswered otherwise.

    Those that begin meanwhile are not waited for, or it would never end. One that waits for a standby has committed.
    """
    end = time.monotonic_ns() + within
    first = {each.id for each in await _ask_open(instance)}
    while True:
        left = [each for each in await _ask_open(instance) if each.id in first]
        if not left or time.monotonic_ns() >= end:
            more = [f"and {len(left) - _NAMED_MAX} more"] if len(left) > _NAMED_MAX else []
            return (*(each.words for each in left[:_NAMED_MAX]), *more)
        await asyncio.sleep(_LOOK_AGAIN / SECOND)


async def until_succeeded(component: ComponentId, instance: Instance, books: Books) -> None:
    """Await that whoever takes over from a server that was shut down in good order is primary, for a moment at most.

    How far its log goes is known while it rests, and its successor waits for that word only. Started at once, it
    would have to come up before it could give it; and it begins right on its way if it knows whom to follow.
    """
    service = service_of(component)
    if books.successor(service) is None or await end_at_rest(instance) == Position():
        return
    end = time.monotonic_ns() + _SUCCEEDED_WITHIN
    while books.successor(service) is not None and books.primary(service) is None:
        if time.monotonic_ns() >= end:
            return
        await asyncio.sleep(_LOOK_AGAIN / SECOND)


async def _ask_open(instance: Instance) -> tuple[_Open, ...]:
    (rows,) = await ask(local(instance, ASK_WITHIN), _OPEN, within=ASK_WITHIN)
    return tuple(
        _Open(id_ or "", f"pid {pid} of {user or 'nobody'}, {state}, for {seconds} s")
        for id_, pid, user, state, seconds in rows
    )
