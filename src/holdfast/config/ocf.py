"""Components that an OCF resource agent looks after: their keys, held to what the agent says of itself.

An agent that is not installed on the host that reads the file is taken at the file's word: it may be on the others.
"""

import difflib
import re

from holdfast.config import resource_agents
from holdfast.config.document import Mapping, Node, Place, Scalar
from holdfast.config.environment import Variable
from holdfast.config.keys import Key, Table, key_place
from holdfast.config.kinds import Kind, MapOf, RefusedError, Schema, Text
from holdfast.config.problems import did_you_mean
from holdfast.config.quantities import Span
from holdfast.config.resource_agents import Metadata, Parameter, UnknownAgentError
from holdfast.config.scope import Scope
from holdfast.model.policy import Mode, OcfAgent
from holdfast.model.time import HOUR, SECOND

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_TRUTHS = frozenset({"yes", "true", "1", "on", "ja", "no", "false", "0", "off", "nein", ""})
_ALIKE = 0.75  # two names of agents that are at least so much alike are taken for one and its misspelling
_PARAMETER = Text(r"[A-Za-z_][A-Za-z0-9_-]*", "the name of one of the agent's parameters")

MONITOR = Table(
    "services.NAME.run.monitor",
    "How the agent is asked how the component is.",
    OcfAgent,
    (
        Key(
            "every",
            Span(SECOND, HOUR),
            "how often; it is asked at once when a process that it started ends",
            field="monitor_every",
        ),
        Key("timeout", Span(SECOND, HOUR), "what takes longer has failed", field="monitor_timeout"),
    ),
)

TIMEOUTS = Table(
    "services.NAME.run.timeouts",
    "How long the agent's actions may take; then they are killed, and have failed. `holdfast ocf show` tells what the "
    "agent advises.",
    OcfAgent,
    (
        Key("start", Span(SECOND, HOUR), "to start", field="start_timeout"),
        Key("stop", Span(SECOND, HOUR), "to stop", field="stop_timeout"),
        Key("promote", Span(SECOND, HOUR), "to become primary", field="promote_timeout"),
        Key("demote", Span(SECOND, HOUR), "to stop being primary", field="demote_timeout"),
        Key(
            "notify",
            Span(SECOND, HOUR),
            "how long a change of the role waits for the other members to hear of it; it is done all the same",
            field="notify_timeout",
        ),
    ),
)

PARAMETERS = MapOf(_PARAMETER, Variable())


class AgentName(Kind, frozen=True):
    """A resource agent, as Pacemaker's files name it."""

    def parse(self, scalar: Scalar) -> str:
        """Return PROVIDER:NAME."""
        name = scalar.text.removeprefix("ocf:")
        if not re.fullmatch(f"{_WORD}:{_WORD}", name):
            hint = f"write ocf:heartbeat:{name}" if re.fullmatch(_WORD, name) else ""
            raise RefusedError(f"must be {self.words}", hint)
        if near := _misspelt(name):
            raise RefusedError("is no agent of this host", f"did you mean ocf:{near}?")
        return name

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a resource agent such as ocf:heartbeat:IPaddr2"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": f"^(ocf:)?{_WORD}:{_WORD}$"}

    def written(self, value: str) -> str:
        """Return it with its class."""
        return f"ocf:{value}"


def check_parameters(node: Node, agent: OcfAgent, scope: Scope) -> bool:
    """Tell whether the parameters are those that the agent knows and needs; note what is wrong with them."""
    metadata = _metadata(agent)
    if metadata is None:
        return True
    before = len(scope.problems)
    assert isinstance(node, Mapping), "it has the key ocf"
    written = node.entries.get("parameters")
    for name, value in agent.parameters.items():
        assert isinstance(written, Mapping), "it has parameters"
        parameter = metadata.parameters.get(name)
        if parameter is None:
            hint = did_you_mean(name, metadata.parameters)
            scope.refuse_at(key_place(written, name), f"is no parameter of ocf:{agent.provider_agent}", hint)
        elif isinstance(value, str) and "\0" not in value and (wrong := _wrong(parameter, value)):
            scope.refuse(written.entries[name], wrong)
    for name, parameter in metadata.parameters.items():
        if parameter.is_required and name not in agent.parameters:
            message = f"ocf:{agent.provider_agent} needs the parameter {name}: {parameter.short}"
            scope.refuse_at((written or node).place, message.removesuffix(": "))
    return len(scope.problems) == before


def check_mode(agent: OcfAgent, mode: Mode, place: Place, scope: Scope) -> None:
    """Note an agent that knows no roles where a standby has to run."""
    metadata = _metadata(agent)
    if mode is Mode.ACTIVE_STANDBY and metadata is not None and not metadata.is_promotable:
        message = f"ocf:{agent.provider_agent} knows no standby: what it has started serves"
        hint = (
            "write mode: singleton (one runs, started where it has to take over) or active-active (all serve)"
        )
        scope.refuse_at(place, message, hint)


def _metadata(agent: OcfAgent) -> Metadata | None:
    try:
        return resource_agents.metadata_of(agent.provider_agent)
    except UnknownAgentError:
        return None


def _wrong(parameter: Parameter, value: str) -> str:
    """Return what is wrong with a value; agents are not strict about types, so neither are we."""
    if parameter.kind == "integer" and not re.fullmatch(r"[+-]?\d+", value):
        return "must be a whole number"
    if parameter.kind == "boolean" and value.lower() not in _TRUTHS:
        return "must be true or false"
    if parameter.choices and value not in parameter.choices:
        return f"must be one of {', '.join(parameter.choices)}"
    return ""


def _misspelt(name: str) -> str:
    """Return the agent of this host that is meant by a name that none has; empty if none is near."""
    if resource_agents.is_installed(name):
        return ""
    near = difflib.get_close_matches(name, resource_agents.installed(), n=1, cutoff=_ALIKE)
    return near[0] if near else ""
