"""Commanding: what operators ask of the cluster as a whole. Asked of any host; the leader, or each host, carries it out."""

import asyncio
import secrets

from holdfast.agent import clock
from holdfast.agent.cluster.clustering import Clustering
from holdfast.agent.cluster.status import cluster_status
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.protocol import (
    Accepted,
    AppliedPolicy,
    ApplyRequest,
    ErrorKind,
    Failure,
    SwitchoverRequest,
)
from holdfast.config import ConfigError
from holdfast.config.loading import load_text
from holdfast.coordination.recipes.answers import Done
from holdfast.coordination.recipes.shared_policy import Applied, Conflict, Forged, PolicyRevision, TooLarge
from holdfast.loop.cluster import rollout, whereabouts
from holdfast.loop.cluster.commands import planned_move, why_none_open
from holdfast.loop.localizing import Placed
from holdfast.model.cluster import OperatorWish
from holdfast.model.decisions import open_words
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import Policy, ServicePolicy
from holdfast.model.standing import Role
from holdfast.model.time import SECOND
from holdfast.ports.coordination import UnavailableError, UnknownError

_LOOK_EVERY_S = 0.01
_NO_SESSION = "the coordinator cannot be reached from this host, and without it nobody takes a role over"


class Commanding:
    """The cluster's verbs."""

    def __init__(self, clustering: Clustering) -> None:
        self._clustering = clustering

    def status(self) -> ClusterStatus:
        """Return how the cluster is."""
        return cluster_status(self._clustering, clock.now())

    @property
    def me(self) -> HostName:
        """Return this host's name."""
        return self._clustering.turning.state.me

    @property
    def policy_number(self) -> int:
        """Return the number of the shared file that is in force here; 0: this host's own is."""
        return self._clustering.sharing.number

    def policy(self) -> Policy:
        """Return the whole file in force on this host."""
        return self._clustering.turning.state.policy

    def placed(self) -> Placed:
        """Return where the leader placed the members that the file binds to no host."""
        return whereabouts.placed(self._clustering.turning.state)

    def is_leased(self, service: ServiceName) -> bool:
        """Tell whether the service's role is moved by the leader."""
        policy = self._clustering.turning.state.policy.services.get(service)
        return policy is not None and policy.is_exclusive

    async def switchover(self, request: SwitchoverRequest, by: str) -> Accepted | Failure:
        """Have the leader move a service to another member."""
        state = self._clustering.turning.state
        policy = state.policy.services[request.service]
        if slip := _slip_in(request, policy):
            return Failure(ErrorKind.USAGE, slip)
        seconds = request.open_transactions_s
        within = None if seconds is None else round(seconds * SECOND)
        if not state.session.is_sure(clock.now()):
            return Failure(ErrorKind.COORDINATOR, f"switchover of {request.service}: {_NO_SESSION}")
        move = planned_move(state, request.service, request.to, clock.now())
        what = f"switchover of {request.service}" + (
            f" to {move.to or request.to}" if move.to or request.to else ""
        )
        if move.refusals:
            return Failure(ErrorKind.REFUSED, f"{what} is refused", move.refusals)
        asked = f"the leader is asked to move it to {move.to}" + (
            "" if within is None else f", {open_words(within)}"
        )
        accepted = Accepted(what, by, (asked,), request.dry_run)
        if request.dry_run:
            return accepted
        wish = OperatorWish(request.service, move.to, by, request.why, secrets.token_hex(4), within)
        began_at = clock.now()
        answer = await self._clustering.book.wish(wish)
        if not isinstance(answer, Done):
            return Failure(ErrorKind.FAILED, f"{what} could not be asked for: {answer.why}")
        if not request.wait_s:
            return accepted
        text = await self._moved(request.service, move.to, wish.id, request.wait_s)
        took = round((clock.now() - began_at) / SECOND, 3)
        if text is None:
            message = f"{what} was accepted and goes on, but is not done after {request.wait_s:g}s"
            return Failure(ErrorKind.TIMEOUT, message)
        if not text:
            return Failure(ErrorKind.FAILED, f"{what} was given up; see `holdfast status`")
        return Accepted(what, by, accepted.begins_with, done=True, outcome=text, took_s=took)

    async def _moved(self, service: ServiceName, to: MemberName, wish: str, within_s: float) -> str | None:
        """Wait until the member serves; return that, empty if the wish was dropped, None if it takes too long."""
        was_seen = False
        try:
            async with asyncio.timeout(within_s):
                while True:
                    state = self._clustering.turning.state
                    assert state.view is not None
                    standing = state.view.wishes.get(service)
                    was_seen |= standing is not None and standing.id == wish
                    lease = state.view.leases.get(service)
                    if lease is not None and lease.member == to and self._serves(f"{service}/{to}"):
                        return f"{to} on {lease.host} serves, lease epoch {lease.epoch}"
                    if was_seen and standing is None and (lease is None or lease.member != to):
                        return ""
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            return None

    def _serves(self, component: str) -> bool:
        report = self._clustering.turning.state.report.members.get(component)
        report = report or self._clustering.elsewhere.get(component)
        return report is not None and report.role is Role.PRIMARY

    async def apply(self, request: ApplyRequest, by: str) -> AppliedPolicy | Failure:
        """Share a file with all hosts, if nobody has shared another one meanwhile. Each takes it over in its turn."""
        state = self._clustering.turning.state
        try:
            policy = await asyncio.to_thread(load_text, request.text, "the file", self._clustering.folder)
        except ConfigError as error:
            return Failure(
                ErrorKind.CONFIGURATION, "the file has errors on this host", tuple(str(error).splitlines())
            )
        if policy.system != state.policy.system or policy.cluster is None:
            message = f"the file is not one of several hosts of the system {state.policy.system}"
            return Failure(ErrorKind.CONFIGURATION, message)
        if fixed := rollout.why_not_while_running(state.policy, policy):
            return Failure(ErrorKind.CONFIGURATION, "; ".join(fixed), (rollout.TO_CHANGE_THEM,))
        if request.dry_run:
            return AppliedPolicy(0, policy.revision, by)
        answer = await self._clustering.book.policy.apply(
            request.text, policy.revision, by, request.expect, above=self.policy_number
        )
        if isinstance(answer, Applied):
            return AppliedPolicy(answer.policy.number, answer.policy.revision, by)
        if isinstance(answer, Conflict):
            number = answer.standing.number if answer.standing else 0
            whose = f", by {answer.standing.by}" if answer.standing else ""
            message = f"somebody was quicker: policy {number}{whose} is in force, not {request.expect}; look at it, then apply again"
            return Failure(ErrorKind.REFUSED, message)
        kind = ErrorKind.FAILED if isinstance(answer, Forged | TooLarge) else ErrorKind.COORDINATOR
        return Failure(kind, f"it could not be shared: {answer.why}")

    async def history(self) -> tuple[PolicyRevision, ...] | Failure:
        """Return the files that were shared, the newest first; what is not signed is left out."""
        try:
            found = await self._clustering.book.policy.history()
        except (UnavailableError, UnknownError) as error:
            return Failure(ErrorKind.COORDINATOR, f"the coordinator cannot be asked: {error}")
        return tuple(one for one in found if isinstance(one, PolicyRevision))


def _slip_in(request: SwitchoverRequest, policy: ServicePolicy) -> str:
    """Return what the request says that means nothing for the service; empty if all of it does."""
    if request.to is not None and policy.member(request.to) is None:
        names = ", ".join(member.name for member in policy.members)
        return f"{request.service} has no member {request.to!r}; it has: {names}"
    return "" if request.open_transactions_s is None else why_none_open(policy)
