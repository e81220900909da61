"""What is spoken over the control socket: one JSON object per line, a request and its answer.

    {"verb": "switchover", "service": "db", "to": "db-2"}
    {"ok": true, "result": {...}}
    {"ok": false, "error": {"kind": "refused", "message": "...", "reasons": ["db-2: lag 3 MB", ...]}}

The verbs are the closed list of requests below; decoding checks the type of each argument. Nothing is looked up by
a name that came over the wire. `watch` is answered with one line now, and one more whenever something changed.

The same is spoken between hosts, inside TLS, where `hello` comes first: it is no verb, but says who asks.
"""

import re
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.status import AgentStatus
from holdfast.journal.records import TurnRecord
from holdfast.model.state import State
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value

LINE_MAX = 1 << 20  # bytes of one request
CONNECTIONS_MAX = 64
FIRST_LINE_WITHIN_S = 5.0
IDLE_MAX_S = 60.0  # between requests of one connection
WAIT_MAX_S = 3600.0

Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=WAIT_MAX_S)]


def _verb(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", class_name.removesuffix("Request")).lower()


class Request(msgspec.Struct, frozen=True, tag_field="verb", tag=_verb, forbid_unknown_fields=True):
    """What is asked. The class's name is the verb: `ExplainDataRequest` is `explain-data`."""


class HelloRequest(Request, frozen=True):
    """What a caller from another host says first, inside TLS. Answered with `Greeting`."""

    token: Text = ""
    behalf: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$")] | None = None


class PingRequest(Request, frozen=True):
    """Are you there? Answered with `AgentStatus`."""


class StatusRequest(Request, frozen=True):
    """How are things? Answered with `SystemStatus`."""


class StateRequest(Request, frozen=True):
    """All you know: answered with `StateAnswer`."""


class WatchRequest(Request, frozen=True):
    """How are things, now and after each change? Answered with one `SystemStatus` after another."""


class ExplainDataRequest(Request, frozen=True):
    """What do you know, and how did it come to that? Answered with `ExplainAnswer`."""

    turns: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 500  # the newest ones


class IncidentsRequest(Request, frozen=True):
    """The newest incidents, newest first: a list of `IncidentRecord`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class IncidentRequest(Request, frozen=True):
    """One incident: an `IncidentRecord`."""

    id: Name


class HealthRequest(Request, frozen=True):
    """How health went: a list of `HealthPoint`, oldest first. `service` empty: the whole system's."""

    service: Text = ""
    hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 366)] = 24.0


class CommandRequest(Request, frozen=True):
    """Do something. Answered with `Accepted`; with `wait_s`, after it is done or could not be."""

    why: Text = ""
    dry_run: bool = False  # only say whether it would be accepted, and what it would begin with
    wait_s: Seconds = 0.0


class SwitchoverRequest(CommandRequest, frozen=True, kw_only=True, omit_defaults=True):
    """Let another member serve. `to` missing: the best candidate.

    What is not asked for is not sent: an agent of an earlier version knows no `open_transactions_s`, and refuses it.
    """

    service: Name
    to: Name | None = None
    open_transactions_s: Seconds | None = None  # they may take so long to end; missing: as the file says


class DrainRequest(CommandRequest, frozen=True, kw_only=True):
    """Give a component no new work."""

    component: Name
    force: bool = False


class PauseRequest(CommandRequest, frozen=True, kw_only=True):
    """Detect failures, but do not act on them. `service` missing: the whole system."""

    for_s: Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 3600)]
    service: Name | None = None


class ResumeRequest(CommandRequest, frozen=True, kw_only=True):
    """End a pause, a drain, a hold. `target` missing: the system's pause."""

    target: Name | None = None


class RestartRequest(CommandRequest, frozen=True, kw_only=True):
    """Restart a service or a component, one member at a time."""

    target: Name


class DownRequest(CommandRequest, frozen=True, kw_only=True):
    """Stop everything, dependents first; then the agent ends too."""


class ReloadRequest(Request, frozen=True):
    """Read the file again. Answered with `Accepted` when it is in force."""


class ClusterRequest(Request, frozen=True):
    """How are the other hosts? Answered with `ClusterStatus`, or null if there is one host only."""


class PolicyRequest(Request, frozen=True):
    """What is in force here? Answered with the whole `Policy`: of several hosts, not only this one's part of it."""


class ApplyRequest(Request, frozen=True, kw_only=True):
    """Share a file with all hosts. Answered with `AppliedPolicy`."""

    text: Annotated[str, msgspec.Meta(max_length=900_000)]
    expect: int | None = (
        None  # number of the shared file that was looked at (0: none); None: whichever is in force
    )
    dry_run: bool = False


class PoliciesRequest(Request, frozen=True):
    """Which files were shared? Answered with a list of `PolicyRevision`, the newest first."""


AnyCommandRequest: TypeAlias = (
    SwitchoverRequest | DrainRequest | PauseRequest | ResumeRequest | RestartRequest | DownRequest
)

AnyRequest: TypeAlias = (
    PingRequest
    | StatusRequest
    | StateRequest
    | WatchRequest
    | ExplainDataRequest
    | IncidentsRequest
    | IncidentRequest
    | HealthRequest
    | ClusterRequest
    | PolicyRequest
    | PoliciesRequest
    | ApplyRequest
    | AnyCommandRequest
    | ReloadRequest
)


class ErrorKind(StrEnum):
    """Whose fault it is, and so what to do about it."""

    USAGE = "usage"  # the request is none, or names what is not there
    DENIED = "denied"  # the caller may not
    REFUSED = "refused"  # it would not be safe; `reasons` has every rule that says so
    CONFIGURATION = "configuration"  # the file has errors; `reasons` has each
    FAILED = "failed"  # it was tried
    TIMEOUT = "timeout"  # it was accepted and is not done yet
    COORDINATOR = "coordinator"  # it cannot be reached from the host that was asked
    BUSY = "busy"  # too many connections
    UNREACHABLE = "unreachable"  # only from the client: no agent answers


class Failure(Value, frozen=True):
    """Why a request was not fulfilled."""

    kind: ErrorKind
    message: str
    reasons: tuple[str, ...] = ()


class Answer(Value, frozen=True):
    """What is answered: either a result or an error."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Failure | None = None


class Greeting(Value, frozen=True):
    """Who you are to this agent, and what you may ask for."""

    host: str  # this agent's; empty on the control socket
    name: str  # yours
    access: str  # view, operate, admin


class Accepted(Value, frozen=True):
    """A command was accepted."""

    what: str
    by: str
    begins_with: tuple[str, ...] = ()  # the decisions taken at once
    dry_run: bool = False
    done: bool | None = None  # None: not waited for
    outcome: str = ""
    took_s: float | None = None


class AppliedPolicy(Value, frozen=True):
    """A file that is shared with all hosts now."""

    number: int  # 0: it was only looked at
    revision: str
    by: str


class StateAnswer(Value, frozen=True):
    """The whole state, and what is needed to read its instants."""

    state: State
    now: Instant
    wall_offset: Duration
    agent: AgentStatus
    cluster: ClusterStatus | None = None  # None: one host


class ExplainAnswer(Value, frozen=True):
    """The whole state, and the newest turns that led to it, oldest first."""

    state: State
    now: Instant
    wall_offset: Duration
    agent: AgentStatus
    turns: tuple[TurnRecord, ...]
    cluster: ClusterStatus | None = None  # None: one host
