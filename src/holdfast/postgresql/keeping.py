"""Keeping one server on its way: it follows whoever holds the lease, and is asked over a new connection how it is.

What is done here needs no decision of the core: a standby follows by reload, slots are made where somebody has to stream from.
A standby whose log went its own way is shut down: the start that follows rewinds or clones it.
"""

import asyncio
import time
from contextlib import suppress

from holdfast.config.secrets import SecretError
from holdfast.model.cluster import lease_of
from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.postgresql import PostgresServer
from holdfast.model.standing import Role
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.postgresql import cascading, running
from holdfast.postgresql.acknowledging import Acknowledging
from holdfast.postgresql.asking import (
    ASK_WITHIN,
    Standing,
    ask_followers,
    ask_history,
    ask_standing,
    write,
)
from holdfast.postgresql.books import Books, instance_of, settings_of, source_of
from holdfast.postgresql.bootstrap import write_passwords
from holdfast.postgresql.causing import Cause, Causing
from holdfast.postgresql.clients import write_clients
from holdfast.postgresql.comparing import could_serve, why_behind, why_unrecorded
from holdfast.postgresql.control import Unreadable, read_control
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.keeping_slots import SlotKeeping
from holdfast.postgresql.noticing import Noticing
from holdfast.postgresql.outside import Entrance, passwords_of, upstream_of
from holdfast.postgresql.position import Position, Relation, relation
from holdfast.postgresql.reading import hear
from holdfast.postgresql.roles import keep_roles
from holdfast.postgresql.settings import (
    Settings,
    Upstream,
    is_told_to_follow,
    reload,
    walsender_of,
    write_settings,
)
from holdfast.postgresql.sight import Sight
from holdfast.postgresql.standing_in import StandIn
from holdfast.postgresql.synchronous import Rule

_ALONE_FOR: Duration = SECOND  # a standby that streams from nobody for so long is asked whether it diverged
_OPEN = "it is open for writes, and so it cannot follow {}: remove follows, or its members' data to have it cloned from there"
_READS_WITHIN: Duration = 100 * MILLISECOND  # a reload wakes whoever would start to receive anew


class Keeper:
    """The care for one server that runs."""

    def __init__(
        self, component: ComponentId, server: PostgresServer, books: Books, *, is_begun: bool = True
    ) -> None:
        """`is_begun`: it may run for longer than we know what it was told. If not, it has read its files as they are."""
        self.server = server
        self._component = component
        self._service = service_of(component)
        self._instance = instance_of(component, server)
        self._books = books
        self._acknowledging = Acknowledging(component, server, books)
        self._followed: Settings | None = None
        self._told_at: Instant = -_READS_WITHIN  # to read its files again
        self._is_unread = is_begun  # what was written for an earlier life of ours it may not have read
        self._primary = Position()  # as the last one told, coarsely
        self._alone_since = 0
        self._spoke_under: Epoch = 0  # the newest lease that it gave its last word under
        self._note, self._cause = "", Cause()  # as at the last look
        self._slots = SlotKeeping(self._instance)
        self._causing = Causing(self._instance)
        self._noticing = Noticing(self._instance, server.parameters)
        self._entrance, self._side = Entrance(self._instance, server), Entrance(self._instance, server)
        self._via = ""  # for people: whom it streams from in the primary's place
        self._stand_in = StandIn(self._instance, server)
        self._is_streaming = False  # from whom it follows, as seen in the last look
        self._has_passwords = self._has_roles = False

    async def look(self, role: Role, epoch: Epoch, within: Duration, *, is_paused: bool = False) -> Sight:
        """Do what is due, and return how the server is. `epoch`: under which it has, or last had, the role.

        `is_paused`: an operator works on it, so it is not ended.
        """
        # In this order: whoever is followed from now on tells of a lease that is newer than what was seen before.
        newest = self._books.newest_lease(self._service)
        source = await self._entrance.to(
            source_of(self._component, self._books), is_streaming=self._is_streaming
        )
        # An agent that has just started leaves a standby as it is: it does not know yet that nobody is to be followed.
        if role is Role.STANDBY and self._books.is_known():
            await self._follow_on(source)
        try:
            standing = await ask_standing(self._instance, within)
            if standing.is_primary and role is Role.PRIMARY:
                await write(self._instance, within)
        except Unanswered as unanswered:
            return self._unanswered(unanswered, role)
        if role is Role.PROMOTING:
            return Sight(is_unknown=True)
        self._is_streaming = bool(standing.upstream)
        if role is Role.STANDBY and (word := self._last_word(standing, source, newest)) is not None:
            return word
        if standing.is_primary != (role is Role.PRIMARY):
            return await self._of_another_role(standing)
        upstream = None if source is None else (self._books.primary(self._service), source)
        fed = cascading.fed_elsewhere(self._component, self._books) if role is Role.PRIMARY else {}
        await self._slots.keep(standing, self._books.members(self._service), upstream, fed)
        self._note = await self._noticing.look()
        if role is Role.PRIMARY:
            await self._keep_commits(standing, lease_of(epoch))
            sight = Sight(position=self._coarse(standing.position), commits=self._acknowledging.told)
            await self._keep_roles()
            self._cause = self._of_primary(standing)
        else:
            if not is_paused:
                await self._end_if_diverged(standing, source)
            sight = self._of_standby(standing, source, newest)
            self._cause = await self._following(standing, has_source=source is not None)
            if self._cause.text:  # whoever could stream from it is better off elsewhere
                sight = replace(sight, streams_under=0)
            self._note = "; ".join(filter(None, (self._via, self._note)))
        return _with_cause(replace(sight, note=self._note), self._cause)

    async def _follow_on(self, source: Upstream | None) -> None:
        """Have a standby stream from `source`, its primary, or from the member that its tag names; from nobody without one."""
        upstream, self._via = source, ""
        wanted = cascading.wanted_via(self._component, self._books)
        if source is not None and wanted is not None and wanted != self._books.primary(self._service):
            self._via = f"is to stream from {wanted}, and streams from the primary"
            if cascading.via(self._component, self._books) is not None:
                at = self._books.place(self._service, wanted)
                upstream = await self._side.to(at, is_streaming=self._is_streaming) or source
                self._via = f"streams from {wanted}"
        await self._follow(settings_of(self._component, self.server, self._books, upstream))
        if source is None:
            await self._until_read()

    def _streams_under(self, standing: Standing, source: Upstream | None) -> Epoch:
        if not cascading.feeds_others(self._component, self._books):
            return 0
        upstream = self._followed.upstream if self._followed is not None else None
        is_on_way = cascading.streams_from(standing, source, upstream)
        return self._books.primary_under(self._service) if is_on_way and source is not None else 0

    def _last_word(self, standing: Standing, source: Upstream | None, newest: Epoch) -> Sight | None:
        """Return how a standby at rest is, the first time under a lease: whoever took it waits for nothing but that.

        All else that is looked after takes questions of its own, and has time until the next look.
        """
        if standing.is_primary or newest == self._spoke_under or not self._is_at_rest(standing, source):
            return None
        self._spoke_under = newest
        return _with_cause(replace(self._of_standby(standing, source, newest), note=self._note), self._cause)

    async def _of_another_role(self, standing: Standing) -> Sight:
        """Return how one is that is no primary though it has the role, as it follows a server outside; or the reverse."""
        if standing.is_primary:
            return Sight("it is a primary without the role: it recovers, or somebody else changed it")
        outside = self.server.follows
        if outside is None:
            if is_told_to_follow(self._instance):
                return Sight(is_unopened=True)
            return Sight("it is no primary: it recovers, or somebody else changed it")
        await self._follow(settings_of(self._component, self.server, self._books, upstream_of(outside)))
        elsewhere = cascading.fed_elsewhere(self._component, self._books).items()
        fed = {name: replace(at, user=outside.user) for name, at in elsewhere}
        await self._slots.keep(standing, self._books.members(self._service), None, fed)
        cause = await self._following(standing, has_source=bool(standing.upstream))
        alone = await self._stand_in.why_alone(standing)
        if not cause.text:
            cause = Cause(alone, is_bearable=True)
        # Told without the reason, whose words may change at each look: a note is news.
        how = (
            f"is to follow {outside.words}, and streams nothing from it"
            if alone
            else f"follows {outside.words}"
        )
        note = "; ".join(filter(None, (how, await self._noticing.look())))
        return _with_cause(Sight(position=self._coarse(standing.position), note=note), cause)

    def _of_primary(self, standing: Standing) -> Cause:
        cause = self._causing.of_primary(standing, can_be_replaced=self._can_be_replaced())
        if self.server.follows is None or cause.text:
            return cause
        return Cause(_OPEN.format(self.server.follows.words), is_bearable=True)

    async def _keep_roles(self) -> None:
        """Have our roles on a primary: what came from outside has them not."""
        if not self._has_roles:
            with suppress(Unanswered, SecretError):
                passwords = passwords_of(self._service, self.server, self._books)
                await keep_roles(self._instance, passwords)
                self._has_roles = True

    def _unanswered(self, unanswered: Unanswered, role: Role) -> Sight:
        is_standby = role is Role.STANDBY or self.server.follows is not None
        return _with_cause(Sight(), self._causing.of_silence(unanswered, is_standby=is_standby))

    def _can_be_replaced(self) -> bool:
        return any(could_serve(report) for report in self._books.others(self._component).values())

    async def _following(self, standing: Standing, *, has_source: bool) -> Cause:
        message = ""
        if self.server.follows is not None and has_source:
            heard = await hear(self._instance, ASK_WITHIN)
            message = heard if isinstance(heard, str) else heard.message
        try:
            return await self._causing.of_standby(standing, has_source=has_source, message=message)
        except (Unanswered, Unreadable, OSError):
            return Cause()

    async def _keep_commits(self, standing: Standing, lease: Epoch) -> None:
        keep = self._acknowledging
        if keep.setting is not None or keep.is_idle(standing):
            await self._follow(self._serving(keep.setting or ""))
        if keep.is_idle(standing):
            return
        with suppress(Unanswered):
            await keep.keep(standing, await ask_followers(self._instance), lease, self._put_rule)

    async def _put_rule(self, rule: Rule) -> bool:
        return await self._follow(self._serving(rule.setting))

    def _serving(self, synchronous: str) -> Settings:
        return settings_of(self._component, self.server, self._books, None, synchronous)

    async def _follow(self, settings: Settings) -> bool:
        """Have the server go by `settings`; tell whether it was told to. If not, it is asked again at the next look."""
        if settings == self._followed:
            return True
        self._followed = None
        try:
            await self._write_passwords()
            control = await read_control(self._instance)
            self._is_unread |= write_clients(self._instance, settings.peers)
            self._is_unread |= write_settings(self._instance, settings, control.minimums)
            if self._is_unread:
                await reload(self._instance)
                self._told_at = time.monotonic_ns()
        except (Unanswered, Unreadable, OSError, SecretError):
            return False
        self._followed, self._is_unread = settings, False
        return True

    async def _write_passwords(self) -> None:
        """Have the passwords of today in the passfile, before the server streams under them."""
        if not self._has_passwords:
            passwords = passwords_of(self._service, self.server, self._books)
            await asyncio.to_thread(write_passwords, self._instance, passwords)
            self._has_passwords = True

    async def _until_read(self) -> None:
        """Await that what was told to the server a moment ago is read: then this look can tell that it is at rest."""
        left = self._told_at + _READS_WITHIN - time.monotonic_ns()
        if self._followed is not None and left > 0:
            await asyncio.sleep(left / SECOND)

    def _is_at_rest(self, standing: Standing, source: Upstream | None) -> bool:
        """Tell whether it streams from nobody, and will not before it is told otherwise."""
        is_told = source is None and self._followed is not None and self._followed.upstream is None
        has_read = is_told and time.monotonic_ns() - self._told_at >= _READS_WITHIN
        return has_read and not standing.is_receiving and standing.is_complete

    def _of_standby(self, standing: Standing, source: Upstream | None, newest: Epoch) -> Sight:
        told = [Position(*report.position) for report in self._books.others(self._component).values()]
        if source is not None:
            self._primary = max([self._primary, *told])
        unfit = self._lacks(standing) or why_unrecorded(self._component, standing.position, self._books)
        if not self._books.is_known():
            unfit = "it is not known yet what stands in the coordinator"
        if standing.upstream:
            return Sight(unfit=unfit, streams_under=self._streams_under(standing, source))
        position = (standing.position.timeline, standing.position.lsn)
        under = newest if self._is_at_rest(standing, source) else 0
        behind = why_behind(self._component, standing.position, self._books)
        return Sight(position=position, position_under=under, unfit=behind or unfit)

    def _lacks(self, standing: Standing) -> str:
        own, primary = standing.position, self._primary
        lacks = primary.lsn - own.lsn
        if own.timeline == primary.timeline and lacks > self.server.lag_max:
            return f"it lacks {lacks} bytes of the primary's log, and {self.server.lag_max} are allowed"
        if own.timeline < primary.timeline and lacks > 0:
            return f"it is on timeline {own.timeline}, and the primary was on {primary.timeline}"
        return ""

    def _coarse(self, position: Position) -> tuple[int, int]:
        """Return a primary's place, rounded down: told at each change, it would be news all the time."""
        step = max(1, self.server.lag_max // 4)
        return position.timeline, position.lsn - position.lsn % step

    async def _end_if_diverged(self, standing: Standing, source: Upstream | None) -> None:
        now = time.monotonic_ns()
        if source is None or standing.upstream:
            self._alone_since = now
            return
        if now - self._alone_since < _ALONE_FOR:
            return
        self._alone_since = now
        instance = self._instance
        try:
            system, theirs, history = await ask_history(walsender_of(instance, source))
        except (Unanswered, ValueError):
            return
        ours = standing.position
        went_its_own_way = relation(ours, theirs, history) is Relation.DIVERGED
        if system == standing.system and went_its_own_way and ours.timeline <= theirs.timeline:
            await running.stop(instance, self.server.stop_timeout)


def _with_cause(sight: Sight, cause: Cause) -> Sight:
    if cause.is_progress:
        return replace(sight, starting=cause.text)
    if cause.is_bearable:
        return replace(sight, warning=cause.text)
    return replace(sight, problem=cause.text)
