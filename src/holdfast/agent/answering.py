"""Answering: what each verb of the control socket means.

A command is first put to the core, which may refuse it with every reason it has. What it accepts is turned at once,
so the answer tells what is already under way; who wants more waits for the end of it, for a bounded time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar, assert_never

import msgspec

from holdfast.agent import clock, protocol
from holdfast.agent.changes import Changes
from holdfast.agent.cluster.commanding import Commanding
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.elsewhere import not_here
from holdfast.agent.protocol import Accepted, Answer, ErrorKind, Failure
from holdfast.agent.status import AgentStatus, SystemStatus, status_of
from holdfast.agent.turning import Turning
from holdfast.agent.waiting import Stand, look_for
from holdfast.journal.records import HealthPoint, IncidentRecord, TurnRecord
from holdfast.loop.cluster.commands import why_none_open
from holdfast.loop.commands import refusals
from holdfast.loop.reconcile import reconcile
from holdfast.model.decisions import Decision, name_of, subject_of
from holdfast.model.events import (
    Command,
    DownRequested,
    DrainRequested,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    SwitchoverRequested,
)
from holdfast.model.ids import ServiceName
from holdfast.model.state import State
from holdfast.model.time import SECOND

T = TypeVar("T")

Reload: TypeAlias = Callable[[str], Awaitable[Failure | None]]


class History(Protocol):
    """What is asked of the past. The calls read a file: they are made in a thread."""

    def turns(self, newest: int) -> tuple[TurnRecord, ...]:
        """Return the newest turns, oldest first."""

    def incidents(self, limit: int) -> tuple[IncidentRecord, ...]:
        """Return the newest incidents, newest first."""

    def incident(self, id_: str) -> IncidentRecord | None:
        """Return the newest incident of that id."""

    def health(self, service: ServiceName, hours: float) -> tuple[HealthPoint, ...]:
        """Return how health went, oldest first."""


class RefusedError(Exception):
    """A request is not fulfilled; `failure` says why."""

    def __init__(self, kind: ErrorKind, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message, reasons)


class Answering:
    """The verbs, over one turning loop."""

    def __init__(
        self,
        turning: Turning,
        changes: Changes,
        history: History,
        agent: Callable[[], AgentStatus],
        reload: Reload,
    ) -> None:
        self._turning = turning
        self.changes = changes
        self._history = history
        self._agent = agent
        self._reload = reload
        self.commanding: Commanding | None = None  # None: one host only

    def status(self) -> SystemStatus:
        """Return how things are."""
        return status_of(self._turning.state, self._agent(), clock.now(), self._cluster())

    def _cluster(self) -> ClusterStatus | None:
        return self.commanding.status() if self.commanding is not None else None

    async def answer(self, request: protocol.AnyRequest, by: str) -> Answer:
        """Fulfil one request of `by`, or say why not. `watch` is not for here: it has no one answer."""
        try:
            return Answer(ok=True, result=msgspec.Raw(msgspec.json.encode(await self._fulfil(request, by))))
        except RefusedError as refused:
            return Answer(ok=False, error=refused.failure)

    async def _of_cluster(
        self,
        request: protocol.ClusterRequest
        | protocol.PolicyRequest
        | protocol.PoliciesRequest
        | protocol.ApplyRequest,
        by: str,
    ) -> object:
        match request:
            case protocol.ClusterRequest():
                return self._cluster()
            case protocol.PolicyRequest():
                return self.commanding.policy() if self.commanding is not None else self._turning.state.policy
            case protocol.PoliciesRequest():
                return _or_refused(await self._several_hosts().history())
            case protocol.ApplyRequest():
                return _or_refused(await self._several_hosts().apply(request, by))

    async def _fulfil(self, request: protocol.AnyRequest, by: str) -> object:  # noqa: C901 - one line a verb
        match request:
            case protocol.PingRequest():
                return self._agent()
            case protocol.StatusRequest() | protocol.WatchRequest():
                return self.status()
            case protocol.StateRequest():
                state = self._turning.state
                return protocol.StateAnswer(
                    state, clock.now(), state.wall_offset, self._agent(), self._cluster()
                )
            case protocol.ExplainDataRequest(turns=newest):
                turns = await asyncio.to_thread(self._history.turns, newest)
                state = self._turning.state
                return protocol.ExplainAnswer(
                    state, clock.now(), state.wall_offset, self._agent(), turns, self._cluster()
                )
            case protocol.IncidentsRequest(limit=limit):
                return await asyncio.to_thread(self._history.incidents, limit)
            case protocol.IncidentRequest(id=id_):
                return await self._incident(id_)
            case protocol.HealthRequest(service=service, hours=hours):
                return await asyncio.to_thread(self._history.health, service, hours)
            case protocol.ReloadRequest():
                return await self._reloaded(by)
            case protocol.SwitchoverRequest(service=service) if (
                self.commanding is not None and self.commanding.is_leased(service)
            ):
                return _or_refused(await self.commanding.switchover(request, by))
            case (
                protocol.ClusterRequest()
                | protocol.PolicyRequest()
                | protocol.PoliciesRequest()
                | protocol.ApplyRequest()
            ):
                return await self._of_cluster(request, by)
            case (
                protocol.SwitchoverRequest()
                | protocol.DrainRequest()
                | protocol.PauseRequest()
                | protocol.ResumeRequest()
                | protocol.RestartRequest()
                | protocol.DownRequest()
            ):
                return await self._command(request, command_of(request, by))
            case _:
                assert_never(request)

    def _several_hosts(self) -> Commanding:
        if self.commanding is None:
            message = "the file has one host only: `holdfast reload` takes a changed file over"
            raise RefusedError(ErrorKind.USAGE, message)
        return self.commanding

    async def _incident(self, id_: str) -> IncidentRecord:
        found = await asyncio.to_thread(self._history.incident, id_)
        if found is None:
            raise RefusedError(
                ErrorKind.USAGE, f"there is no incident {id_}; `holdfast incidents` lists them"
            )
        return found

    async def _reloaded(self, by: str) -> Accepted:
        if self.commanding is not None and self.commanding.policy_number:
            message = f"policy {self.commanding.policy_number} is shared by all hosts, and this host's own file is not used"
            raise RefusedError(ErrorKind.USAGE, message, ("`holdfast apply` shares a changed file",))
        failure = await self._reload(by)
        if failure is not None:
            raise RefusedError(failure.kind, failure.message, failure.reasons)
        return Accepted(
            what="reload", by=by, done=True, outcome=f"revision {self._turning.state.policy.revision}"
        )

    async def _command(self, request: protocol.AnyCommandRequest, command: Command) -> Accepted:
        state = self._turning.state
        what = describe(command)
        if self.commanding is not None:
            what += f" on {self.commanding.me}"  # of the other hosts each has to be asked itself
            if (away := not_here(state.policy, command, self.commanding.placed())) is not None:
                raise RefusedError(ErrorKind.USAGE, away)
        if (unknown := _unknown_name(command, state)) is not None:
            raise RefusedError(ErrorKind.USAGE, unknown)
        if isinstance(request, protocol.SwitchoverRequest) and request.open_transactions_s is not None:
            # PostgreSQL has leases, so what comes here is something else.
            raise RefusedError(ErrorKind.USAGE, why_none_open(state.policy.services[request.service]))
        if request.dry_run:
            reasons = refusals(state, command, clock.now())
            decisions: tuple[Decision, ...] = ()
            if not reasons:
                _, decisions = reconcile(state, command, clock.now())
        else:
            reasons, decisions = self._turning.request(command)
            state = self._turning.state  # while we wait for the disk, much may come of it
            # What was confirmed must not be forgotten, even if we are killed in the next moment.
            await asyncio.to_thread(self._turning.remember)
        if reasons:
            raise RefusedError(ErrorKind.REFUSED, f"{what} is refused", reasons)
        accepted = Accepted(
            what, command.by, tuple(_line(decision) for decision in decisions), request.dry_run
        )
        if request.dry_run or not request.wait_s:
            return accepted
        return await self._finish(accepted, command, state, request.wait_s)

    async def _finish(
        self, accepted: Accepted, command: Command, accepted_in: State, within_s: float
    ) -> Accepted:
        look = look_for(command, accepted_in)
        began_at = clock.now()
        progress = look(self._turning.state)
        try:
            async with asyncio.timeout(within_s):
                while progress.stand is Stand.PENDING:
                    await self.changes.next()
                    progress = look(self._turning.state)
        except TimeoutError:
            message = f"{accepted.what} was accepted and goes on, but is not done after {within_s:g}s: {progress.text}"
            raise RefusedError(ErrorKind.TIMEOUT, message) from None
        if progress.stand is Stand.FAILED:
            raise RefusedError(ErrorKind.FAILED, f"{accepted.what} failed: {progress.text}")
        took = round((clock.now() - began_at) / SECOND, 3)
        return msgspec.structs.replace(accepted, done=True, outcome=progress.text, took_s=took)


def _or_refused(answer: T | Failure) -> T:
    if isinstance(answer, Failure):
        raise RefusedError(answer.kind, answer.message, answer.reasons)
    return answer


def command_of(request: protocol.AnyCommandRequest, by: str) -> Command:
    """Return the event that the request becomes."""
    match request:
        case protocol.SwitchoverRequest(service=service, to=to, why=why):
            return SwitchoverRequested(service, to, by, why)
        case protocol.DrainRequest(component=component, force=force, why=why):
            return DrainRequested(component, by, why, force)
        case protocol.PauseRequest(service=paused, for_s=for_s, why=why):
            return PauseRequested(paused, clock.now() + round(for_s * SECOND), by, why)
        case protocol.ResumeRequest(target=resumed):
            return ResumeRequested(resumed, by)
        case protocol.RestartRequest(target=restarted, why=why):
            return RestartRequested(restarted, by, why)
        case protocol.DownRequest():
            return DownRequested(by)
        case _:
            assert_never(request)


def describe(command: Command) -> str:
    """Return what is asked for, in a few words."""
    match command:
        case SwitchoverRequested(service=service, to=to):
            return f"switchover of {service}" + (f" to {to}" if to else "")
        case DrainRequested(component=component):
            return f"drain of {component}"
        case PauseRequested(service=paused):
            return f"pause of {paused or 'the system'}"
        case ResumeRequested(target=target):
            return f"resume of {target or 'the system'}"
        case RestartRequested(target=target):
            return f"restart of {target}"
        case DownRequested():
            return "down"


def _unknown_name(command: Command, state: State) -> str | None:
    # A slip of the pen is told as one, with what there is, not as a refusal for safety.
    match command:
        case SwitchoverRequested(service=service, to=to):
            policy = state.policy.services.get(service)
            if policy is not None and to is not None and policy.member(to) is None:
                return f"{service} has no member {to!r}; it has: {', '.join(m.name for m in policy.members)}"
            return _no_such("service", service, tuple(state.policy.services))
        case DrainRequested(component=component):
            return _no_such("component", component, tuple(state.components))
        case PauseRequested(service=paused):
            return _no_such("service", paused, tuple(state.policy.services))
        case ResumeRequested(target=target) | RestartRequested(target=target):
            return _no_such("service or component", target, (*state.policy.services, *state.components))
        case DownRequested():
            return None


def _no_such(kind: str, name: str | None, names: tuple[str, ...]) -> str | None:
    if name is None or name in names:
        return None
    return f"there is no {kind} {name!r}; there are: {', '.join(names)}"


def _line(decision: Decision) -> str:
    return f"{name_of(decision)} {subject_of(decision)}: {decision.why}"
