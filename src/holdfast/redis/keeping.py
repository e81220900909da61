"""Keeping one server on its way: it follows whoever serves, and is asked over a new connection how it is.

What is done here needs no decision of the core: a standby is told whom to follow. A former primary is, too; it discards by
itself what only it has, and takes a copy where its stream of writes went another way.
"""

from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.redis import RedisServer
from holdfast.model.sight import Sight
from holdfast.model.standing import Role
from holdfast.model.time import Duration
from holdfast.redis import running
from holdfast.redis.asking import (
    Fault,
    Stamp,
    Standing,
    Unanswered,
    ask_standing,
    refusal,
    standing_of,
    standing_questions,
    try_all,
)
from holdfast.redis.books import Books, source_of, where_of
from holdfast.redis.comparing import EMPTY, NOT_TOLD, Position, history_of, position_of, why_behind
from holdfast.redis.resp import Refusal
from holdfast.redis.settings import NOBODY

# What another primary would not do better: it has the same data, the same limits and the same clients.
_NO_REASON_TO_MOVE = frozenset({Fault.TOO_FEW_STANDBYS, Fault.NO_MEMORY, Fault.FULL})


class Keeper:
    """The care for one server that runs."""

    def __init__(self, component: ComponentId, server: RedisServer, books: Books) -> None:
        self.server = server
        self._component = component
        self._service = service_of(component)
        self._books = books
        self._where = where_of(component, server, books)
        self._stamp_key = books.stamp_key(self._service)
        self._place = 0  # as primary, at the last look
        self._primary = NOT_TOLD  # how far the primary has come, as last told, coarsely

    async def look(self, role: Role, epoch: Epoch, within: Duration) -> Sight:
        """Do what is due, and return how the server is. `epoch`: under which it has, or last had, the role."""
        # In this order: whoever is followed from now on tells of a lease that is newer than what was seen before.
        newest = self._books.newest_lease(self._service)
        source = source_of(self._component, self._books)
        try:
            if role is Role.PRIMARY:
                return await self._of_primary(epoch, within)
            standing = await self._followed(source, within)
        except Unanswered as unanswered:
            told = f"{unanswered.fault}: {unanswered}"
            if unanswered.fault is Fault.LOADING:
                return Sight(is_unknown=True, unfit=told)
            # It may have taken a write that we do not know of: so a full one tells its place no more, and is unfit.
            is_no_reason = unanswered.fault in _NO_REASON_TO_MOVE
            return Sight(warning=told, unfit=told) if is_no_reason else Sight(told, unfit=told)
        if role is Role.PROMOTING:
            return Sight(is_unknown=True)
        if standing.is_primary:
            return Sight("it is a primary without the role: somebody else changed it")
        return self._of_standby(standing, source, newest)

    async def _of_primary(self, epoch: Epoch, within: Duration) -> Sight:
        stamp = Stamp(epoch, self._place)
        questions = standing_questions(self._stamp_key)
        *told, written = await try_all(
            self._where, ("PING",), *questions, ("SET", self._stamp_key, stamp.text()), within=within
        )
        for answer in told:
            if isinstance(answer, Refusal):
                raise refusal(answer)
        standing = standing_of(told[1:])
        if not standing.is_primary:
            return Sight("it is no primary: somebody else changed it")
        self._place = standing.place
        position = self._coarse(standing, epoch)
        if not isinstance(written, Refusal):
            return Sight(position=position)
        why = refusal(written)
        text = f"{why.fault}: {why}"
        if why.fault in _NO_REASON_TO_MOVE:
            return Sight(warning=text, position=position)
        return Sight(text, position=position)

    async def _followed(self, source: tuple[str, int] | None, within: Duration) -> Standing:
        """Return how a standby is, once it was told whom to follow."""
        standing = await ask_standing(self._where, self._stamp_key, within)
        if standing.upstream == (source or NOBODY):
            return standing
        async with self._books.grip(self._component):
            # A promotion that began meanwhile must not be undone.
            if self._books.role(self._component) is not Role.STANDBY:
                return standing
            await running.follow(self._where, source, within)
        return await ask_standing(self._where, self._stamp_key, within)

    def _of_standby(self, standing: Standing, source: tuple[str, int] | None, newest: Epoch) -> Sight:
        if standing.is_copying:
            return Sight(unfit="its data is being copied from the primary")
        if source is not None:
            told = [report.position for report in self._books.others(self._component).values()]
            self._primary = max([self._primary, *told])
        position = position_of(standing)
        if standing.is_following:
            return Sight(unfit=self._lacks(position))
        # Who does not reach the primary may be needed in its place: what counts is what it has. Its word is its last one only
        # once it follows nobody.
        unfit = why_behind(self._component, position, self._books) or self._lacks(position)
        return Sight(position=position, position_under=newest if source is None else 0, unfit=unfit)

    def _lacks(self, own: Position) -> str:
        if self._primary[0] <= 1 or own == EMPTY:
            return ""
        lacks = self._primary[1] - own[1]
        if own[0] < self._primary[0] and lacks > 0:
            return "it has not got what the primary wrote since it was promoted"
        if own[0] == self._primary[0] and lacks > self.server.lag_max:
            return f"it lacks {lacks} bytes of the primary's writes, and {self.server.lag_max} are allowed"
        return ""

    def _coarse(self, standing: Standing, epoch: Epoch) -> Position:
        """Return a primary's place, rounded down: told at each change, it would be news all the time."""
        step = max(1, self.server.lag_max // 4)
        return history_of(epoch), standing.place - standing.place % step
