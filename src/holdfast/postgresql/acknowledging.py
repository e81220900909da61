"""Acknowledging: for whom a primary's commits wait, and who may follow it, kept in step as standbys come and go.

What may be done next, and why nothing is lost by it, is said in synchronous.py. Here it is carried out, one step after the
other: the record is written into the coordinator under the primary's own lease, the rule into the server's settings.
While the coordinator cannot be asked, nothing changes: commits wait for whom they waited for.
"""

import time
from collections.abc import Awaitable, Callable, Iterable

from holdfast.model.ids import ComponentId, Epoch, MemberName, member_of, service_of
from holdfast.model.postgresql import Commit, Kept, PostgresServer, Record
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.postgresql.asking import Follower, Standing
from holdfast.postgresql.books import Books, wish_of
from holdfast.postgresql.position import Lsn
from holdfast.postgresql.synchronous import (
    Member,
    Rule,
    Set,
    Wait,
    WriteDown,
    choose,
    describe,
    is_covering,
    next_step,
    parse_setting,
)

# A reload is read by each walsender for itself, a moment later. That all have is seen by the ranks that they give; that
# the kind of waiting changed is not, so there is this time as well.
_SETTLES: Duration = SECOND
_STALLED: Duration = 2 * SECOND  # who lacks some of the log, and got no further for so long, does not follow
_STEPS_MAX = 4  # in one look

Put = Callable[
    [Rule], Awaitable[bool]
]  # writes the rule into the server's settings; tells whether that was done


class Acknowledging:
    """The care for one primary's commits, from when it was promoted or found."""

    def __init__(self, component: ComponentId, server: PostgresServer, books: Books) -> None:
        self._component = component
        self._server = server
        self._books = books
        self._kept: Kept | None = None
        self._is_doubtful = False  # a record that we wrote may still be on its way
        self._rule: Rule | None = None  # that the server was told
        self._is_told = (
            False  # by us, for sure: the server may go by another one that it was told after it, or may yet
        )
        self._set_at: Instant = 0
        self._is_in_force = False  # all walsenders go by it
        self._place: Lsn | None = None  # what has to be covered before the record is loosened
        self._moved: dict[MemberName, tuple[Lsn, Instant]] = {}  # how far each follower was, and since when
        self.told = ""  # for people: for whom commits wait

    @property
    def setting(self) -> str | None:
        """Return what the server was told; None: not known yet, it has to stay as it is."""
        return None if self._rule is None else self._rule.setting

    def is_idle(self, standing: Standing) -> bool:
        """Tell whether there is nothing to do: commits wait for nobody, and nobody wants them to."""
        is_wanted = self._server.commit is not Commit.ASYNCHRONOUS
        record = self._books.record(service_of(self._component))
        return not is_wanted and not standing.synchronous and record is None

    async def keep(self, standing: Standing, followers: tuple[Follower, ...], lease: Epoch, put: Put) -> None:
        """Take the steps that are due. `standing` was asked before `followers`, and both in this look."""
        if self._rule is None and (found := parse_setting(standing.synchronous)) is not None:
            self._begin(found)
        if self._rule is None or standing.synchronous != self._rule.setting:
            if self._rule is None or time.monotonic_ns() - self._set_at > _SETTLES:
                self.told = f"somebody else set synchronous_standby_names: {standing.synchronous!r}"
            return  # or it is about to be read
        if not await self._tell_again(put):
            self.told = "it is not known for whom commits wait: its settings could not be changed"
            return
        kept = await self._read(lease)
        if isinstance(kept, str):
            self.told = f"{describe(self._rule, wish_of(self._server))}; nothing of that can change: {kept}"
            return
        self._look(standing, followers)
        why = await self._step(kept, followers, lease, put)
        self.told = describe(self._rule, wish_of(self._server)) + (f"; {why}" if why else "")

    async def _read(self, lease: Epoch) -> Kept | str:
        """Return what the coordinator has; asked once, as only we write, and again where the view differs.

        A rule must fit the record that stands there when it is set. So while a write of ours may be on its way what stands there is
        written anew: then the other one, which was to replace it as it was before, can never come. Where nothing stands nothing
        has to be defeated: the only record that comes after none lets nobody but us be promoted.
        """
        service = service_of(self._component)
        if self._kept is None or self._kept.record != self._books.record(service):
            kept = await self._books.read_record(service)
            if isinstance(kept, str):
                return kept
            if self._is_doubtful and kept.record is not None:
                if why := await self._write(kept.record, kept, lease):
                    return why
                assert self._kept is not None
                return self._kept
            self._kept, self._is_doubtful = kept, False
        return self._kept

    async def _step(self, kept: Kept, followers: tuple[Follower, ...], lease: Epoch, put: Put) -> str:
        """Take steps; return what they wait for, if so."""
        assert self._rule is not None
        me, wish, record = member_of(self._component), wish_of(self._server), kept.record
        if wish.mode is Commit.ASYNCHRONOUS:
            return await self._let_go(kept, lease, put)
        if record is not None and record.primary != me:
            return f"the record is of {record.primary}, and is left alone"
        if record is None or record.epoch != lease:
            # Without one nobody else may be promoted from now on: that is stricter than anything.
            record = Record(me, epoch=lease) if record is None else replace(record, epoch=lease)
            return await self._write(record, kept, lease)
        return await self._go_on(choose(wish, self._members(followers), self._rule), kept, followers, put)

    async def _go_on(self, wanted: Rule, kept: Kept, followers: tuple[Follower, ...], put: Put) -> str:
        """Take the steps towards the rule that is wanted; return what they wait for, if so."""
        for _ in range(_STEPS_MAX):
            record = kept.record
            assert record is not None
            assert self._rule is not None
            match next_step(record, self._rule, wanted, is_covered=self._is_covered(followers)):
                case WriteDown(record=next_record):
                    if why := await self._write(next_record, kept, record.epoch):
                        return why
                    assert self._kept is not None
                    kept = self._kept
                case Set(rule=rule):
                    return "" if await self._tell(rule, put) else "its settings could not be changed"
                case Wait(why=why):
                    return why
                case None:
                    return ""
        return ""

    async def _let_go(self, kept: Kept, lease: Epoch, put: Put) -> str:
        """Have commits wait for nobody any more, as the operator wants it now."""
        if self._rule != Rule():
            await self._tell(Rule(), put)
            return ""
        return await self._write(None, kept, lease) if kept.record is not None else ""

    async def _tell(self, rule: Rule, put: Put) -> bool:
        """Have the server go by the rule; tell whether it was told to."""
        self._is_told = False
        if await put(rule):
            self._begin(rule)
            self._is_told = True
        return self._is_told

    async def _tell_again(self, put: Put) -> bool:
        """Have it go by the rule before one that it may have been told, and what was committed meanwhile be covered too."""
        assert self._rule is not None
        return self._is_told or await self._tell(self._rule, put)

    async def _write(self, record: Record | None, kept: Kept, lease: Epoch) -> str:
        service = service_of(self._component)
        self._kept, self._is_doubtful = None, True
        if why := await self._books.write_record(service, record, kept, lease):
            return f"the record could not be written: {why}"
        self._is_doubtful = False
        again = await self._books.read_record(service)
        if isinstance(again, str):
            return again
        self._kept = again
        return "" if again.record == record else "somebody else wrote the record"

    # --- what is seen -----------------------------------------------------------------------------------

    def _begin(self, rule: Rule) -> None:
        self._rule, self._set_at = rule, time.monotonic_ns()
        self._is_in_force, self._place = False, None

    def _look(self, standing: Standing, followers: tuple[Follower, ...]) -> None:
        """Note who moves, and what has to be covered: a place that was read after the rule was seen to be in force."""
        assert self._rule is not None
        now = time.monotonic_ns()
        if self._is_in_force and self._place is None:
            self._place = standing.position.lsn
        elif not self._is_in_force and now - self._set_at >= _SETTLES:
            self._is_in_force = all(each.rank == self._rank(each.name) for each in followers)
        self._moved = {
            name: self._moved[name]
            if lsn < standing.position.lsn and self._moved.get(name, (-1, 0))[0] == lsn
            else (lsn, now)
            for name, lsn in _flushed(followers).items()
        }

    def _rank(self, name: MemberName) -> int:
        assert self._rule is not None
        if name not in self._rule.names:
            return 0
        return 1 if self._rule.is_quorum else 1 + self._rule.names.index(name)

    def _is_covered(self, followers: Iterable[Follower]) -> bool:
        assert self._rule is not None
        return self._place is not None and is_covering(self._rule, _flushed(followers), self._place)

    def _members(self, followers: Iterable[Follower]) -> tuple[Member, ...]:
        """Return the other members as followers. One in the rule stays while it moves; another has to come near first."""
        assert self._rule is not None
        tags, now = self._books.tags(service_of(self._component)), time.monotonic_ns()
        by_name = {each.name: each for each in followers if each.state == "streaming"}
        return tuple(
            Member(
                name,
                is_streaming=(
                    name in by_name
                    and now - self._moved.get(name, (0, now))[1] < _STALLED
                    and (name in self._rule.names or by_name[name].lag <= self._server.lag_max)
                ),
                priority=tag.priority,
                is_allowed=tag.may_acknowledge,
            )
            for name, tag in tags.items()
            if name != member_of(self._component)
        )


def _flushed(followers: Iterable[Follower]) -> dict[MemberName, Lsn]:
    """Return how far each one's log is on its disk. A connection that is about to be given up may stand beside a newer one."""
    found: dict[MemberName, Lsn] = {}
    for each in followers:
        found[each.name] = max(each.flushed, found.get(each.name, 0))
    return found
