"""Clustering: this host as one of several. Joins the cluster loop with the world, and with this host's own loop.

The two loops run beside each other on one event loop and speak by events only. This host's own loop learns which leases are
held here and how members elsewhere are; the cluster loop learns how the members here are.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from holdfast import __version__
from holdfast.agent import clock
from holdfast.agent.cluster.arming import Arming
from holdfast.agent.cluster.beating import HeartBeating
from holdfast.agent.cluster.campaigning import Campaigning
from holdfast.agent.cluster.localizing import Localizing
from holdfast.agent.cluster.memory import Remembering, recall
from holdfast.agent.cluster.ordering import Fence, Ordering
from holdfast.agent.cluster.reporting import Reporting
from holdfast.agent.cluster.seeing import Seeing
from holdfast.agent.cluster.session import SessionKeeping
from holdfast.agent.cluster.sharing import Sharing
from holdfast.agent.cluster.turning import ClusterTurned, ClusterTurning
from holdfast.agent.log import Level, Line
from holdfast.agent.turning import Turned, Turning
from holdfast.components.guarding import Guarding
from holdfast.coordination.address import connect
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.guard.facts import Facts
from holdfast.loop.cluster import leasing, showing
from holdfast.loop.cluster.observing import first_report
from holdfast.loop.cluster.state import ClusterState
from holdfast.loop.reporting import report_members
from holdfast.model.cluster import ClusterView, Entitlement, MemberReport
from holdfast.model.cluster_events import MembersReported, PolicyGiven, ViewSeen
from holdfast.model.events import ElsewhereSeen, Entitled
from holdfast.model.ids import ComponentId, HostName, ServiceName
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.model.value import replace
from holdfast.ports.components import Result

_LEVELS = {"info": Level.INFO, "warn": Level.WARN, "error": Level.ERROR}
_GIVE_WITHIN_S = 3.0
ANSWER_MIN, ANSWER_MAX = 200 * MILLISECOND, 500 * MILLISECOND  # one request to one server of the coordinator
WATCH_BEAT_MIN = 150 * MILLISECOND
_STUCK_AFTER = 3 * SECOND  # this host's own loop turns at least once a second


class Place(NamedTuple):
    """Which host of which system this is, and where its agent keeps things."""

    policy: Policy  # of all hosts
    me: HostName
    secret: bytes
    directory: Path
    folder: Path  # where relative paths of the file start


class Joints(NamedTuple):
    """What the rest of the agent does for the cluster."""

    facts: Callable[[ComponentId], Facts | str]  # for the guard, of what runs
    facts_to_be: Callable[[ComponentId], Facts]  # and of what is about to
    fence: Fence
    put_in_force: Callable[
        [Callable[[], Policy]], Awaitable[tuple[Policy, Result]]
    ]  # this host's part of the file, as it is then
    take_over: Callable[[Policy, str], Awaitable[str]]  # the whole file, and on whose word; why not, if so


class Clustering:
    """One host of the cluster."""

    # Of kinds of components that look after themselves across hosts: what more they say of members here, and their works.
    supplemented: Callable[[dict[ComponentId, MemberReport]], dict[ComponentId, MemberReport]] = dict
    more_works: tuple[tuple[str, Callable[[], Coroutine[Any, Any, None]]], ...] = ()

    def __init__(self, place: Place, turning: Turning, joints: Joints, say: Callable[[Line], None]) -> None:
        policy, me, secret, directory = place.policy, place.me, place.secret, place.directory
        assert policy.cluster is not None
        self.folder = place.folder
        self._local = turning
        self._say = say
        memory = recall(directory)
        life = secrets.token_hex(8)
        chance = Random(secrets.randbits(64))  # noqa: S311 - pauses and marks, no secret
        state = ClusterState(
            me,
            life,
            policy,
            clock.now(),
            report=first_report(life, __version__),
            assigned_under=memory.assigned_under,
            placed=memory.placed,
            leases_seen=memory.leases_seen,
        )
        self.turning = cluster = ClusterTurning(state)
        limit = min(max(policy.cluster.lease // 6, ANSWER_MIN), ANSWER_MAX)
        self.coordinator = connect(policy.cluster.coordinator, limit=limit, outlives_process=True)
        self.book = book = ClusterBook(self.coordinator, f"/{policy.system}", me, life, secret=secret)
        self.guarding = Guarding(directory)
        self.arming = Arming(self.guarding, joints.facts, joints.facts_to_be, self._state, say)
        self.keeping = SessionKeeping(
            self.coordinator, policy.cluster.lease, cluster.put, say, is_well=self._is_well, chance=chance
        )
        self.campaigning = Campaigning(
            book.election(now=clock.now, chance=chance),
            self.keeping,
            cluster.put,
            by=me,
            above=lambda: max(self._state().assigned_under.values(), default=0),
        )
        self.seeing = Seeing(
            self.coordinator, book, on_view=self._on_view, on_policy=self._on_policy, chance=chance
        )
        self.beating = HeartBeating(cluster, secret, say)
        self.localizing = Localizing(directory, self._state, joints.put_in_force, say)
        self.remembering = Remembering(directory, memory, say)
        self.sharing = Sharing(
            book.policy, directory, place.folder, self.remembering, self._state, joints.take_over, say
        )
        self._ordering = Ordering(book, self.keeping, self.campaigning, joints.fence, cluster.put, say)
        self._reporting = Reporting(book, self.keeping, self._state, say)
        self._reported: tuple[dict[ComponentId, MemberReport], object, bool, str] | None = None
        self._entitlements: dict[ServiceName, Entitlement] | None = None
        self.elsewhere: dict[ComponentId, MemberReport] = {}
        self._local_turned_at = clock.now()
        self._is_down = False
        self._nothing_held = asyncio.Event()
        self._nothing_held.set()
        self._follow()

    def _follow(self) -> None:
        """Have each part told of the turns of both loops."""
        self.turning.before_judging = self.beating.drain
        followers = (self._pass_on, self.arming, self.beating, self._ordering, self._reporting, self._tell)
        for follower in followers:
            self.turning.follow(follower)
        self._local.follow(self._follow_local)
        self._local.when_idle(self._is_turning)

    def works(self) -> tuple[tuple[str, Coroutine[Any, Any, None]], ...]:
        """Return what has to run for as long as the agent does, by name."""
        return (
            ("cluster turning", self.turning.run()),
            ("session", self.keeping.run()),
            ("election", self.campaigning.run()),
            ("coordinator watch", self.seeing.run(self._watch_beat())),
            ("heartbeats", self.beating.run()),
            ("guard", self.arming.run()),
            ("placement", self.localizing.run()),
            ("shared policy", self.sharing.run()),
            ("memory", self.remembering.run()),
            ("report", self._reporting.run()),
            *((name, work()) for name, work in self.more_works),
        )

    def _watch_beat(self) -> Duration:
        """Return how soon a watch whose server has died has to be noticed: well within a lease."""
        cluster = self.turning.state.policy.cluster
        assert cluster is not None
        return min(max(cluster.lease // 8, WATCH_BEAT_MIN), SECOND)

    async def open(self) -> None:
        """Start the guard if it does not run, and listen for beats; OSError if that cannot be."""
        await self.guarding.status()  # which starts one where there is none
        await self.beating.open()

    def give(self, policy: Policy) -> None:
        """Have the cluster loop take the whole file over."""
        self.localizing.give(policy)
        self.turning.put(PolicyGiven(policy))

    async def leave(self, *, is_down: bool) -> None:
        """Leave. With everything stopped here, leases and session are given up; otherwise the next life takes them over."""
        self._is_down = is_down
        if is_down:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GIVE_WITHIN_S):
                    await self._nothing_held.wait()
        await self.campaigning.resign()
        await self._ordering.close(1.0)
        if is_down:
            await self.keeping.close()
        elif self.turning.state.held:
            names = ", ".join(self.turning.state.held)
            text = f"the lease of {names} runs on: its member is ended if no agent of this host takes it over in time"
            self._say(Line(Level.WARN, "agent", "leaving", text))

    async def close(self) -> None:
        """Let go of the network, and write down what is not yet."""
        self.remembering.close()
        await self.beating.close()
        await self.coordinator.close()
        if self._is_down:
            await self.guarding.dismiss()
        await self.guarding.close()

    # --- between the loops ----------------------------------------------------------------------------

    def _state(self) -> ClusterState:
        return self.turning.state

    def _is_turning(self) -> None:
        self._local_turned_at = clock.now()

    def _is_well(self) -> bool:
        """Tell whether this host may go on saying that its members are looked after."""
        is_stuck = clock.now() - self._local_turned_at > _STUCK_AFTER
        return not is_stuck and not (self.arming.problem and self.turning.state.held)

    def _follow_local(self, turned: Turned) -> None:
        state = turned.after
        if not state.surveyed_at:
            return
        before = turned.before
        if self._reported is not None and (
            self._reported[-1] == self.sharing.waiting
            and state.components is before.components
            and state.services is before.services
            and state.entitlements is before.entitlements
            and state.is_going_down == before.is_going_down
            and state.pause is before.pause
            and state.looked_at == before.looked_at  # some of it changes by time alone
        ):
            return
        self._report(state, turned.at)

    def refresh(self) -> None:
        """Report the members here anew: what their reports are supplemented with has changed."""
        if self._local.state.surveyed_at:
            self._report(self._local.state, clock.now())

    def _report(self, state: State, now: Instant) -> None:
        members = self.supplemented(report_members(state, now))
        said = (members, state.entitlements, state.is_going_down, self.sharing.waiting)
        if said != self._reported:
            self._reported = said
            self.turning.put(
                MembersReported(
                    members, state.entitlements, self.sharing.waiting, is_leaving=state.is_going_down
                )
            )

    def _pass_on(self, turned: ClusterTurned) -> None:
        state = turned.after
        (self._nothing_held.clear if state.held else self._nothing_held.set)()
        if leasing.is_told(state, turned.at):
            entitlements = leasing.entitlements(state, turned.at)
            if entitlements != self._entitlements:
                self._entitlements = entitlements
                self._local.put(Entitled(entitlements))
        members = showing.elsewhere(state)
        if members != self.elsewhere:
            self.elsewhere = members
            self._local.put(ElsewhereSeen(members))
        if state.policy is not turned.before.policy or state.view is not turned.before.view:
            self.localizing.look()
        if state.view is not turned.before.view:
            memory = self.remembering.memory
            self.remembering.note(
                replace(
                    memory,
                    assigned_under=state.assigned_under,
                    placed=state.placed,
                    leases_seen=state.leases_seen,
                )
            )

    def _on_view(self, view: ClusterView) -> None:
        self.turning.put(ViewSeen(view))

    def _on_policy(self, entry: Any) -> None:  # noqa: ANN401 - Entry, passed through
        self.sharing.see(entry)

    def _tell(self, turned: ClusterTurned) -> None:
        fresh = turned.after.noted - turned.before.noted
        for note in turned.after.notes[-fresh:] if fresh else ():
            self._say(Line(_LEVELS[note.level], note.subject, note.word, note.text))
