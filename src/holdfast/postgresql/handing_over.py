"""Handing over: what comes right before a server that takes writes is shut down."""

import asyncio
import time

from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql.asking import ASK_WITHIN, local
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.instance import Instance

_LOOK_AGAIN = 10 * MILLISECOND
_NAMED_MAX = 5

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


async def _ask_open(instance: Instance) -> tuple[_Open, ...]:
    (rows,) = await ask(local(instance, ASK_WITHIN), _OPEN, within=ASK_WITHIN)
    return tuple(
        _Open(id_ or "", f"pid {pid} of {user or 'nobody'}, {state}, for {seconds} s")
        for id_, pid, user, state, seconds in rows
    )
