"""Standing in: who holds the lease of a standby cluster streams from the server outside, in a primary's place.

The lease says whom the members follow, as ever. But nobody is opened for writes: no timeline begins, and no record is written,
as no commit is made here. So two who stand in at once, if that could be, would both be copies of one log.
"""

import asyncio
import time
from contextlib import suppress

from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.postgresql import PostgresServer
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.postgresql import running
from holdfast.postgresql.asking import Standing, ask_followers, ask_standing
from holdfast.postgresql.books import Books, instance_of, settings_of
from holdfast.postgresql.bootstrap import NotDone
from holdfast.postgresql.cloning import make_slot
from holdfast.postgresql.electing import stand_still, why_not_furthest
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.outside import upstream_of, why_apart

_HANDS_OVER_S, _LOOK_AGAIN_S = 2.0, 0.02
_ALONE_FOR: Duration = 2 * SECOND
_ASK_AGAIN: Duration = 2 * SECOND


async def begin(component: ComponentId, server: PostgresServer, books: Books, lease: Epoch) -> str:
    """Have a standby follow the server outside under `lease`, in a primary's place; in words why not.

    Logs are compared as before a promotion: who stands still ahead of the others has what they could not get if the server outside
    were lost. Unanswered, Unreadable, OSError otherwise.
    """
    assert server.follows is not None
    service, instance = service_of(component), instance_of(component, server)
    kept = await books.read_record(service)
    if isinstance(kept, str):
        return f"the coordinator does not tell who may be promoted: {kept}"
    if kept.record is not None:
        return f"commits waited for standbys here, and {kept.record.words}: remove follows until that is over"
    own = await stand_still(component, server, books)
    if isinstance(own, str):
        return own
    if why := await why_not_furthest(component, own, books, lease):
        return why
    with suppress(Unanswered):  # what is not known now shows later: nothing here is changed by following
        if why := await why_apart(instance, server.follows, (await ask_standing(instance)).system, own):
            return why
    if why := await books.why_not_holder(service, lease):
        return why
    if server.follows.slot:
        with suppress(NotDone):
            await make_slot(instance, upstream_of(server.follows))
    await running.follow(instance, settings_of(component, server, books, upstream_of(server.follows)))
    return ""


async def end(component: ComponentId, server: PostgresServer, books: Books) -> bool:
    """Have one that stands in follow nobody, and the others have all that it has; tell whether it is a standby at rest now.

    Unlike a primary it need not be shut down for that.
    """
    instance = instance_of(component, server)
    try:
        if (await ask_standing(instance)).is_primary:
            return False
        await running.follow(instance, settings_of(component, server, books, None))
        standing = await ask_standing(instance)
        for _ in range(int(_HANDS_OVER_S / _LOOK_AGAIN_S)):
            standing, followers = await ask_standing(instance), await ask_followers(instance)
            missing = [each for each in followers if each.flushed < standing.position.lsn]
            if standing.is_primary or (not standing.is_receiving and not missing):
                return not standing.is_primary
            await asyncio.sleep(_LOOK_AGAIN_S)
    except (Unanswered, OSError):
        return False
    return not standing.is_receiving


class StandIn:
    """What is remembered between looks of one server that stands in."""

    def __init__(self, instance: Instance, server: PostgresServer) -> None:
        self._instance = instance
        self._server = server
        self._streamed_at: Instant = 0
        self._asked_at: Instant = 0
        self._why = ""

    async def why_alone(self, standing: Standing) -> str:
        """Return why it does not stream from outside, once that has been so for a while; empty: it does."""
        outside, now = self._server.follows, time.monotonic_ns()
        if standing.upstream or outside is None or not self._streamed_at:
            self._streamed_at = now
        if outside is None or now - self._streamed_at < _ALONE_FOR:
            return ""
        if now - self._asked_at >= _ASK_AGAIN:
            self._asked_at = now
            self._why = await self._ask_why(standing)
        return f"it does not stream from {outside.words}: {self._why}"

    async def _ask_why(self, standing: Standing) -> str:
        assert self._server.follows is not None
        try:
            if why := await why_apart(
                self._instance, self._server.follows, standing.system, standing.position
            ):
                return why
            if self._server.follows.slot:
                await make_slot(self._instance, upstream_of(self._server.follows))
        except (Unanswered, NotDone) as error:
            return str(error)
        return running.last_words(self._instance) or "see its log"
