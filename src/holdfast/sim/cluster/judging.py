"""Judging: what must hold between several hosts after every step, by the truth and by nobody's view of it.

The first rule is the one that all of this is for: never two members of an exclusive service that serve at once, in the
time of the simulation, whatever each host's clock and agent believe.

What serves: a process of a singleton, from its start to its end; elsewhere one that has the role. Not on a host that stands
still as a whole. When such a host goes on, a member whose deadline passed meanwhile is not counted for the few milliseconds
that its guard may take (STALE_MAX): nothing on that host can be quicker. How often that was, and how long, is told.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from holdfast.model.cluster import Assignment, Claim, Lease
from holdfast.model.decisions import Decision, Promote, Start
from holdfast.model.duty import entitlement_of
from holdfast.model.ids import ComponentId, Epoch, HostName, ServiceName, member_of, service_of
from holdfast.model.policy import Mode, ServicePolicy
from holdfast.model.state import State
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant, show_duration
from holdfast.sim.checking import Violation
from holdfast.sim.clockwork import Clockwork

STALE_MAX = 10 * MILLISECOND
_HEARD_WITHIN = 2 * SECOND
_ON_ITS_WAY = 100 * MILLISECOND


_Key: TypeAlias = tuple[HostName, ComponentId]  # a movable member has one name on all hosts


@dataclass(slots=True)
class Serving:
    """A member that serves."""

    host: HostName
    component: ComponentId
    since: Instant


class Stage(Protocol):
    """What the judge can look at."""

    def serving(self) -> Iterable[tuple[HostName, ComponentId]]:
        """Return what serves alone, of leased services, and is not just about to be ended."""

    def could_hear(self, host: HostName, of: HostName, since: Instant) -> bool:
        """Tell whether `host` had every chance to hear `of` since then."""

    def says_clear(self, lease: Lease, *, was_there: bool) -> bool:
        """Tell whether the holder's host is there, or `was_there` a moment ago, and its member truly does not serve."""


@dataclass(slots=True)
class Promised:
    """A host's word, in the time of the simulation."""

    by: HostName
    to: HostName
    epoch: Epoch
    until: Instant


@dataclass(slots=True)
class Judging:
    """What was seen so far, and the rules."""

    clock: Clockwork
    gap_min: Duration | None = None  # from one host's primary to another's, when the lease ran out
    planned_gap_min: Duration | None = None  # when it was given up, or revoked and its holder heard
    stale_max: Duration = 0
    takes: int = 0
    handovers: int = 0
    interruptions: int = 0  # how often a member ended to serve
    stage: Stage | None = None
    _serving: dict[ServiceName, dict[_Key, Serving]] = field(default_factory=dict)
    _ended: dict[ServiceName, tuple[HostName, Instant]] = field(default_factory=dict)
    _granted: dict[ServiceName, Epoch] = field(default_factory=dict)
    _leases: dict[ServiceName, Lease] = field(default_factory=dict)
    _promised: dict[ServiceName, list[Promised]] = field(default_factory=dict)
    fenced_services: frozenset[ServiceName] = frozenset()
    _given: set[ServiceName] = field(default_factory=set)
    _given_last: set[ServiceName] = field(default_factory=set)  # before it was taken last
    _off: set[str] = field(default_factory=set)
    # Leases that the store ended before their time, until their holders take them again.
    _revoked: dict[tuple[ServiceName, HostName], Instant] = field(default_factory=dict)
    tell: Callable[[str], None] | None = None

    # --- never two ------------------------------------------------------------------------------------

    def look(self) -> None:
        """Compare what serves now with what served until now."""
        if self.stage is None:
            return
        now = self.clock.now
        found: dict[ServiceName, dict[_Key, Serving]] = {}
        for host, component in self.stage.serving():
            service = service_of(component)
            key = (host, component)
            serving = self._serving.get(service, {}).get(key) or Serving(host, component, now)
            others = found.setdefault(service, {})
            for other in others.values():
                self._judge_two(other, serving)
            others[key] = serving
        self._note_changes(found, now)

    def _judge_two(self, one: Serving, two: Serving) -> None:
        # Who woke from a pause seems to have begun just now: so either may be the one whose lease was taken away.
        first, second = sorted((one, two), key=lambda serving: serving.since)
        if self._is_excused(first, second) or self._is_excused(second, first):
            return
        raise Violation(
            "two_primaries",
            f"{first.component} on {first.host} serves still, and {second.component} on {second.host} too",
        )

    def _is_excused(self, holder: Serving, taker: Serving) -> bool:
        """Tell whether the store took the lease away before its time, and the holder could not tell the taker."""
        revoked = self._revoked.get((service_of(holder.component), holder.host))
        if revoked is None or self.stage is None:
            return False
        return not self.stage.could_hear(taker.host, holder.host, revoked - _HEARD_WITHIN)

    def _note_changes(self, found: dict[ServiceName, dict[_Key, Serving]], now: Instant) -> None:
        for service, members in found.items():
            for key, serving in members.items():
                if key in self._serving.get(service, {}):
                    continue
                if self.tell is not None:
                    self.tell(f"{serving.component} on {serving.host} serves")
                last = self._ended.get(service)
                if last is not None and last[0] != serving.host:
                    self._handed_over(service, last[0], now - last[1])
        for service, members in self._serving.items():
            for key, serving in members.items():
                if key not in found.get(service, {}):
                    self.interruptions += 1
                    self._ended[service] = (serving.host, now)
                    if self.tell is not None:
                        self.tell(f"{serving.component} on {serving.host} serves no more")
        self._serving = found

    def _handed_over(self, service: ServiceName, before: HostName, gap: Duration) -> None:
        self.handovers += 1
        if service in self._given_last or (service, before) in self._revoked:
            self.planned_gap_min = gap if self.planned_gap_min is None else min(gap, self.planned_gap_min)
        else:
            self.gap_min = gap if self.gap_min is None else min(gap, self.gap_min)

    def was_stale(self, lasted: Duration) -> None:
        """Learn for how long a member served on after its whole host had stood still past its deadline."""
        self.stale_max = max(self.stale_max, lasted)

    def primary_of(self, service: ServiceName) -> Serving | None:
        """Return who serves."""
        return next(iter(self._serving.get(service, {}).values()), None)

    def anybody(self) -> Serving | None:
        """Return one that serves alone, of whichever service."""
        return next((serving for members in self._serving.values() for serving in members.values()), None)

    # --- epochs, leases, promises ---------------------------------------------------------------------

    def granted(self, component: ComponentId, epoch: Epoch) -> None:
        """Judge the token that a member begins to serve under."""
        service = service_of(component)
        last = self._granted.get(service, 0)
        if epoch <= last:
            raise Violation("token", f"{component} serves under {epoch}, and {last} was given before")
        self._granted[service] = epoch

    def taken(self, lease: Lease) -> None:
        """Judge a lease that was taken, or taken over."""
        self.takes += 1
        before = self._leases.get(lease.service)
        if before is not None:
            is_same = (before.host, before.member) == (lease.host, lease.member)
            if lease.epoch < before.epoch or (lease.epoch == before.epoch and not is_same):
                raise Violation("lease_epoch", f"{lease} after {before}")
        self._judge_fencing(lease, before)
        self._leases[lease.service] = lease
        self._revoked.pop((lease.service, lease.host), None)
        if before is None or lease.epoch != before.epoch:
            (self._given_last.add if lease.service in self._given else self._given_last.discard)(
                lease.service
            )
        self._given.discard(lease.service)
        now = self.clock.now
        for promise in self._promised.get(lease.service, ()):
            if promise.by == lease.host and now < promise.until and lease.epoch != promise.epoch:
                left = show_duration(promise.until - now)
                raise Violation(
                    "promise",
                    f"{lease.host} takes {lease.service}, and its word to {promise.to} holds {left} more",
                )
        if self.tell is not None:
            self.tell(f"the store: {lease.service} is {lease.host}'s, {lease.member}, epoch {lease.epoch}")

    def _judge_fencing(self, lease: Lease, before: Lease | None) -> None:
        if before is None or before.host == lease.host or lease.service not in self.fenced_services:
            return
        is_proven = lease.service in self._given or before.life in self._off
        # A session that is revoked while a request is on its way was there for whoever sent it.
        revoked = self._revoked.get((lease.service, before.host))
        was_there = revoked is not None and self.clock.now - revoked <= _ON_ITS_WAY
        if (
            not is_proven
            and self.stage is not None
            and not self.stage.says_clear(before, was_there=was_there)
        ):
            raise Violation(
                "fencing",
                f"{lease.host} takes {lease.service}, and nobody made sure that {before.host} is off",
            )

    def given(self, service: ServiceName) -> None:
        """Learn that a lease was given up."""
        self._given.add(service)

    def proven_off(self, life: str) -> None:
        """Learn that a fence device switched a host off, on which this life of the agent ran."""
        self._off.add(life)

    def promised(self, service: ServiceName, promise: Promised) -> None:
        """Note a host's word."""
        kept = [old for old in self._promised.get(service, ()) if old.until > self.clock.now]
        self._promised[service] = [*kept, promise]

    def assigned(self, assignment: Assignment, leader: Claim | None) -> None:
        """Judge the word of a leader, as it is written."""
        if leader is None or leader.epoch != assignment.leader_epoch:
            raise Violation("stale_leader", f"{assignment} was written while {leader} leads")
        if self.tell is not None:
            self.tell(
                f"the store: {assignment.service} assigned to {assignment.holder}, {assignment.placed}: {assignment.why}"
            )

    def revoked(self, host: HostName) -> None:
        """Learn that the store ended a session before its time."""
        held = (service for service, lease in self._leases.items() if lease.host == host)
        self._revoked |= {(service, host): self.clock.now for service in held}

    # --- authority ------------------------------------------------------------------------------------

    def decided(self, state: State, decisions: tuple[Decision, ...]) -> None:
        """Judge what a host's own loop decided: nobody serves without a lease."""
        for decision in decisions:
            if not isinstance(decision, Promote | Start):
                continue
            policy = state.policy.services.get(service_of(decision.component))
            if policy is None or not policy.is_leased or not _gives_role(policy, decision):
                continue
            entitlement = entitlement_of(state, policy.name)
            if entitlement is None or entitlement.member != member_of(decision.component):
                raise Violation("authority", f"{decision} without a lease")


def _gives_role(policy: ServicePolicy, decision: Promote | Start) -> bool:
    return isinstance(decision, Promote) or policy.mode is Mode.SINGLETON
