"""The coordinator as it truly is: sessions that expire by its own clock, keys with versions, and transactions.

A transaction of several steps is a generator: what it does between two `yield`s happens at one instant, and a `yield` is a way there and back
with whatever that brings. So it is what the recipes do (holdfast.coordination.recipes): look, then write under the
condition of what was seen.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

from holdfast.model.cluster import Assignment, Claim, ClusterView, HostReport, LastLease, Lease, OperatorWish
from holdfast.model.events import Ending
from holdfast.model.ids import Epoch, HostName, ServiceName
from holdfast.model.time import Duration, Instant
from holdfast.sim.cluster.clocks import HostClock


class Answer(NamedTuple):
    """How a transaction ended."""

    ending: Ending
    text: str = ""
    number: int = 0  # a session, or an epoch


Steps: TypeAlias = Generator[None, None, Answer]
Transaction: TypeAlias = Callable[[], Answer] | Steps
DONE = Answer(Ending.DONE)


class Scribe(Protocol):
    """Who is told of what becomes true in the coordinator."""

    def taken(self, lease: Lease) -> None:
        """Learn that a lease was taken or taken over."""

    def given(self, service: ServiceName) -> None:
        """Learn that a lease was given up, or freed."""

    def assigned(self, assignment: Assignment, leader: Claim | None) -> None:
        """Learn that an assignment was written while `leader` led."""


@dataclass(slots=True)
class StoreSession:
    """One session; the store ends it at `expires`, by its own clock."""

    host: HostName
    expires: Instant


@dataclass(slots=True)
class Holder:
    """A lease as it stands there."""

    lease: Lease
    session: int
    version: int


class Store:
    """All that stands in the coordinator."""

    def __init__(self, clock: HostClock, ttl: Duration, scribe: Scribe) -> None:
        self._clock = clock
        self._ttl = ttl
        self._scribe = scribe
        self.sessions: dict[int, StoreSession] = {}
        self.holders: dict[ServiceName, Holder] = {}
        self.epochs: dict[ServiceName, Epoch] = {}
        self.leader: Claim | None = None
        self._seat = 0  # the session that the leader's seat is bound to
        self._leader_epoch: Epoch = 0
        self._reports: dict[HostName, tuple[HostReport, int]] = {}
        self._last: dict[ServiceName, LastLease] = {}
        self._assignments: dict[ServiceName, Assignment] = {}
        self.wishes: dict[ServiceName, OperatorWish] = {}
        self.policy_number = 0
        self.is_away = False  # nothing is answered, and nothing expires
        self.followers: list[Callable[[], None]] = []
        self._version = 0
        self._sessions_made = 0
        self._view: ClusterView | None = None

    # --- what watches see -----------------------------------------------------------------------------

    def view(self) -> ClusterView:
        """Return what stands there now."""
        if self._view is None:
            self._view = ClusterView(
                self.leader,
                {host: report for host, (report, _) in self._reports.items()},
                {name: holder.lease for name, holder in self.holders.items()},
                dict(self.epochs),
                dict(self._last),
                dict(self._assignments),
                dict(self.wishes),
            )
        return self._view

    def _changed(self) -> None:
        self._version += 1
        self._view = None
        for follower in self.followers:
            follower()

    # --- sessions -------------------------------------------------------------------------------------

    def open(self, host: HostName) -> Answer:
        """Open a session."""
        self._sessions_made += 1
        number = self._sessions_made
        self.sessions[number] = StoreSession(host, self._clock.now + self._ttl)
        self._clock.after(self._ttl, partial(self._expire, number))
        return Answer(Ending.DONE, number=number)

    def renew(self, number: int) -> Answer:
        """Renew it, if it is there."""
        session = self.sessions.get(number)
        if session is None:
            return Answer(Ending.FAILED, "there is no such session")
        session.expires = self._clock.now + self._ttl
        return DONE

    def come_back(self) -> None:
        """Answer again, under another leader of its own: every session gets its whole time again."""
        self.is_away = False
        for number, session in self.sessions.items():
            session.expires = self._clock.now + self._ttl
            self._clock.after(self._ttl, partial(self._expire, number))
        self._changed()

    def revoke(self, host: HostName) -> None:
        """End the host's sessions before their time, as an etcd leader that was frozen and thawed may do."""
        for number in [number for number, session in self.sessions.items() if session.host == host]:
            self._end(number)

    def _expire(self, number: int) -> None:
        session = self.sessions.get(number)
        if session is None or self.is_away:
            return
        left = session.expires - self._clock.now
        if left > 0:
            self._clock.after(left, partial(self._expire, number))
            return
        self._end(number)

    def _end(self, number: int) -> None:
        del self.sessions[number]
        self.holders = {name: held for name, held in self.holders.items() if held.session != number}
        self._reports = {host: told for host, told in self._reports.items() if told[1] != number}
        if self._seat == number:
            self._seat, self.leader = 0, None
        self._changed()

    # --- the election, reports, the leader's word ----------------------------------------------------

    def campaign(self, host: HostName, number: int) -> Answer:
        """Take the leader's seat, if it is free or this very session has it."""
        if number not in self.sessions:
            return Answer(Ending.FAILED, "the session is lost")
        if self._seat == number and self.leader is not None:
            return Answer(Ending.DONE, number=self.leader.epoch)
        if self._seat:
            return Answer(Ending.FAILED, "somebody leads")
        self._leader_epoch += 1
        self._seat, self.leader = number, Claim(host, self._leader_epoch)
        self._changed()
        return Answer(Ending.DONE, number=self._leader_epoch)

    def report(self, host: HostName, report: HostReport, number: int) -> Answer:
        """Write what a host says of itself."""
        if number not in self.sessions:
            return Answer(Ending.FAILED, "the session is lost")
        standing = self._reports.get(host)
        if standing is not None and standing[1] > number:
            return Answer(Ending.FAILED, "this host has said so anew, under its next session")  # it came late
        self._reports[host] = (report, number)
        self._changed()
        return DONE

    def assign(self, assignment: Assignment) -> Answer:
        """Write what the leader wants; refused to one that leads no more."""
        if not self.obeys(assignment.leader_epoch):
            return Answer(Ending.FAILED, "somebody else leads by now")
        self._assignments[assignment.service] = assignment
        self._scribe.assigned(assignment, self.leader)
        self._changed()
        return DONE

    def obeys(self, leader_epoch: Epoch) -> bool:
        """Tell whether who was elected under this epoch leads still."""
        return self.leader is not None and self.leader.epoch == leader_epoch

    def wish(self, wish: OperatorWish) -> Answer:
        """Write an operator's wish."""
        self.wishes[wish.service] = wish
        self._changed()
        return DONE

    def drop_wish(self, service: ServiceName, id_: str) -> Answer:
        """Delete an operator's wish."""
        wish = self.wishes.get(service)
        if wish is not None and wish.id == id_:
            del self.wishes[service]
            self._changed()
        return DONE

    def apply(self) -> None:
        """Put a new file in, as `holdfast apply` does, and confirm it."""
        self.policy_number += 1
        self._changed()

    # --- leases ---------------------------------------------------------------------------------------

    def take(self, lease: Lease, number: int, after: Epoch) -> Steps:
        """Take a lease that is free, if nobody has had it since the epoch `after`."""
        if why := self._why_not_take(lease, after):
            return Answer(Ending.FAILED, why)
        yield
        if number not in self.sessions:
            return Answer(Ending.FAILED, "the session is lost")
        if why := self._why_not_take(lease, after):
            return Answer(Ending.FAILED, why)
        self.epochs[lease.service] = lease.epoch
        self._hold(lease, number)
        return Answer(Ending.DONE, number=lease.epoch)

    def _why_not_take(self, lease: Lease, after: Epoch) -> str:
        if lease.service in self.holders:
            return "somebody holds it"
        last = self.epochs.get(lease.service, 0)
        return "" if last == after else f"the epoch is {last}"

    def adopt(self, lease: Lease, number: int) -> Steps:
        """Bind a host's own lease to its present session: same epoch, nobody in between."""
        if why := self.why_not_adopt(lease):
            return Answer(Ending.FAILED, why)
        before = self._version_of(lease.service)
        yield
        if number not in self.sessions:
            return Answer(Ending.FAILED, "the session is lost")
        if why := self.why_not_adopt(lease):
            return Answer(Ending.FAILED, why)
        if self._version_of(lease.service) != before:
            return Answer(Ending.UNKNOWN, "it changed meanwhile")
        self._hold(lease, number)
        return Answer(Ending.DONE, number=lease.epoch)

    def why_not_adopt(self, lease: Lease) -> str:
        """Return why the lease is not this host's own any more."""
        if self.epochs.get(lease.service, 0) != lease.epoch:
            return "somebody had it meanwhile"
        holder = self.holders.get(lease.service)
        if holder is None:
            return ""
        theirs = holder.lease
        is_same = (theirs.host, theirs.member, theirs.epoch) == (lease.host, lease.member, lease.epoch)
        return "" if is_same else "somebody holds it"

    def free(self, service: ServiceName, epoch: Epoch, host: HostName | None) -> Steps:
        """Delete the lease of this epoch; of this host only, if one is named."""
        holder = self.holders.get(service)
        if holder is None and host is None:
            return self._settle(service, epoch)
        if holder is None or holder.lease.epoch != epoch or host not in (None, holder.lease.host):
            return DONE
        version = holder.version
        yield
        if (now := self.holders.get(service)) is None:
            return DONE
        if now.version != version:
            return Answer(Ending.UNKNOWN, "it changed meanwhile")
        del self.holders[service]
        self._last[service] = LastLease(now.lease, is_settled=True)
        self._scribe.given(service)
        self._changed()
        return DONE

    def _settle(self, service: ServiceName, epoch: Epoch) -> Answer:
        last = self._last.get(service)
        if last is not None and last.lease.epoch == epoch and not last.is_settled:
            self._last[service] = LastLease(last.lease, is_settled=True)
            self._changed()
        return DONE

    def _hold(self, lease: Lease, number: int) -> None:
        self.holders[lease.service] = Holder(lease, number, self._version + 1)
        self._last[lease.service] = LastLease(lease)
        self._scribe.taken(lease)
        self._changed()

    def _version_of(self, service: ServiceName) -> int:
        holder = self.holders.get(service)
        return holder.version if holder is not None else 0
