"""Every section of the file but probes and secrets, each key declared once. See keys.py for what is made of it.

A new key is one line here and a field in the model: reading, JSON Schema and reference follow.
"""

from holdfast.config.addresses import PORT, Host, HostPort, PortFrom
from holdfast.config.cluster import CLUSTER, Cluster
from holdfast.config.commands import AccountName, Command, FilePath
from holdfast.config.document import Mapping, Node, Scalar
from holdfast.config.environment import ENVIRONMENT
from holdfast.config.hosts import HOSTS, PLACEMENT
from holdfast.config.keys import Key, Later, Part, Reading, Section, Table
from holdfast.config.kinds import Choice, Flag, Kind, ListOf, MapOf, Plain, Schema, Signal, Text, name_kind
from holdfast.config.ocf import MONITOR, PARAMETERS, TIMEOUTS, AgentName, check_parameters
from holdfast.config.postgresql import POSTGRESQL, Server
from holdfast.config.probes import PROBES
from holdfast.config.problems import show_key
from holdfast.config.quantities import Number, Size, Span, Whole
from holdfast.config.redis import REDIS, RedisSection
from holdfast.config.scope import INVALID, Invalid, Scope
from holdfast.config.traffic import TRAFFIC, Traffic
from holdfast.model import policy as model
from holdfast.model.tags import Tags
from holdfast.model.time import HOUR, MILLISECOND, MINUTE, SECOND

BUILTIN_VARIABLES = ("address", "host", "member", "on", "port", "service", "system")
MEMBERS_MAX = 100

_SHARE = Number(0, 1)
_WEIGHT = Number(0, 1000, is_positive=True)
_VARIABLE = Text(
    rf"(?!({'|'.join(BUILTIN_VARIABLES)})$)[a-z_][a-z0-9_]*", "a new variable's name of a-z, 0-9 and _"
)

STOP = Table(
    "services.NAME.run.stop",
    "How to ask the program to end.",
    model.ProcessSpec,
    (
        Key("signal", Signal(), "the signal that asks it to end", field="stop_signal"),
        Key("grace", Span(most=HOUR), "how long it may take before it is killed", field="stop_grace"),
    ),
)

RUN = Table(
    "services.NAME.run",
    'How to run a member. The short form is the command alone: `run: [server, --port, "{port}"]`.',
    model.ProcessSpec,
    (
        Key("command", Command(), "the program and its arguments; there is no shell", default="none"),
        Key("env", ENVIRONMENT, "variables for the program, besides a small clean environment"),
        Key("user", AccountName(is_group=False), "run as this user", default="holdfast's own"),
        Key("group", AccountName(is_group=True), "run with this group", default="the user's own"),
        Key("directory", FilePath(), "run in this directory", default="a folder of the member's own"),
        Key("stop", Part(STOP), "how to ask it to end"),
        Key(
            "promote", Command(), "a program to run when the member becomes primary", default="nothing to run"
        ),
        Key("demote", Command(), "a program to run when it stops being primary", default="nothing to run"),
        Key("hook_timeout", Span(most=HOUR), "how long promote and demote may take"),
        Key(
            "log_max",
            Size(10_000, 10_000_000_000),
            "output is kept in two files of this size",
            field="log_max_bytes",
        ),
        Key("ocf", AgentName(), "a resource agent that starts it, in place of a command", default="none"),
        Key("parameters", PARAMETERS, "ocf: what the agent is told", model=model.OcfAgent),
        Key("monitor", Part(MONITOR), "ocf: how the agent is asked how it is", model=model.OcfAgent),
        Key("timeouts", Part(TIMEOUTS), "ocf: how long its actions may take", model=model.OcfAgent),
        Key("postgresql", Server(POSTGRESQL), "a PostgreSQL server, in place of a command", default="none"),
        Key("redis", RedisSection(REDIS), "a Redis server, in place of a command", default="none"),
    ),
    exactly_one=("command", "ocf", "postgresql", "redis"),
    example="write, for example, run: [my-server, --port, '{port}']",
    is_shared_out=True,
)


class Run(Section, frozen=True):
    """How to run a member: a section, or its command alone."""

    def read(self, node: Node, scope: Scope) -> model.ProcessSpec | Invalid:
        """Return how to run it."""
        section = as_section(node)
        spec: model.ProcessSpec | Invalid = super().read(section, scope)
        if spec is INVALID or not isinstance(spec.managed, model.OcfAgent):
            return spec
        return spec if check_parameters(section, spec.managed, scope) else INVALID

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether every key goes with what runs it."""
        asked = next((name for name in RUN.exactly_one[1:] if name in reading.key_places), "command")
        of_ocf = {key.name for key in RUN.keys if key.model is model.OcfAgent}
        fits = True
        for name, place in reading.key_places.items():
            other = "ocf" if name in of_ocf else "command"
            if name in (*RUN.exactly_one, "log_max") or other == asked:
                continue
            scope.refuse_at(place, f"{show_key(name)} goes with {other}, not with {asked}", "remove it")
            fits = False
        return fits

    def build(self, reading: Reading) -> model.ProcessSpec:
        """Return it from a section without faults."""
        fields = reading.fields()
        stop = fields.pop("stop", {})
        for server in ("postgresql", "redis"):
            if server in fields:
                return model.ProcessSpec(command=(), managed=fields.pop(server), **fields)
        if "ocf" not in fields:
            return model.ProcessSpec(**fields, **stop)
        times = fields.pop("monitor", {}) | fields.pop("timeouts", {})
        agent = model.OcfAgent(fields.pop("ocf"), fields.pop("parameters", {}), **times)
        return model.ProcessSpec(command=(), managed=agent, **fields)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a command, or a mapping"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"oneOf": [*Command().schema()["oneOf"], super().schema()]}


def as_section(node: Node) -> Node:
    """Return the long form of `run`."""
    if isinstance(node, Mapping) or (isinstance(node, Scalar) and node.is_null):
        return node
    return Mapping(node.place, {"command": node}, {"command": node.place})


MEMBER = Table(
    "services.NAME.members.NAME",
    "One member. What is not written here comes from its service; `run` is laid over the service's key by key, a "
    "probe replaces the one of its name, and `NAME: null` takes a probe away.",
    model.MemberPolicy,
    (
        Key(
            "on",
            name_kind(),
            "several hosts: it runs on this host and on no other",
            default="the leader places it",
        ),
        Key("host", Host(), "where its port is reached", default="`127.0.0.1`, or the address of its host"),
        Key("port", PORT, "the port where it serves", default="the service's"),
        Key("weight", _WEIGHT, "weight of its health in its service's"),
        Key("traffic_weight", Whole(1, 256), "its share of the traffic, beside the others' shares"),
        Key(
            "priority",
            Whole(-1000, 1000),
            "several hosts: of members that could serve equally well the one with more is chosen",
            model=Tags,
        ),
        Key(
            "nofailover",
            Flag(),
            "several hosts: it gets the role only by `holdfast switchover --to`, never by itself",
            model=Tags,
        ),
        Key("nosync", Flag(), "postgresql: no commit waits for it", model=Tags),
        Key(
            "streams_from",
            name_kind(),
            "postgresql: the member that it streams from while that one is a standby that streams; no commit waits for it",
            model=Tags,
            default="the primary",
        ),
        Key("vars", MapOf(_VARIABLE, Plain()), "more variables for {templates}", default="none"),
        Key("run", Later(Run(RUN)), "what differs from the service's `run`"),
        Key("probes", Later(PROBES), "what differs from the service's `probes`"),
    ),
    example="write, for example, web-1: { port: 8081 }",
)


class Members(Kind, frozen=True):
    """The members: names with settings, names alone, or how many. Services read them, name by name."""

    def inner(self) -> tuple[Kind, ...]:
        """Return the kind of settings."""
        return (Section(MEMBER),)

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"names with settings, a list of names, or how many (1 to {MEMBERS_MAX})"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        names = {"type": "array", "items": name_kind().schema(), "minItems": 1, "uniqueItems": True}
        settings = MapOf(name_kind(), Section(MEMBER)).schema() | {"type": "object", "minProperties": 1}
        return {"oneOf": [Whole(1, MEMBERS_MAX).schema(), names, settings]}


RESTART = Table(
    "services.NAME.restart",
    "When a member that failed is started again, and when holdfast stops trying.",
    model.RestartPolicy,
    (
        Key(
            "max", Whole(0, 1000), "this many restarts in any window; then it gives up", field="restarts_max"
        ),
        Key("window", Span(SECOND), "the window that restarts are counted in"),
        Key("backoff", Span(), "wait before the second restart; doubles with each", field="backoff_min"),
        Key("backoff_max", Span(), "the longest wait between two restarts"),
        Key(
            "strategy",
            Choice(model.Strategy),
            "who restarts too: nobody, all members, or those listed after it",
        ),
        Key("jitter", Number(0, 1), "share of the wait that chance adds at most"),
        Key("stable_after", Span(), "up for this long: the wait starts anew"),
        Key("retry_after", Span(SECOND), "after giving up: one more attempt each time this has passed"),
        Key(
            "hang_grace",
            Span(),
            "a process that was stopped by a signal may continue within this; then it is killed",
        ),
        Key("startup_grace", Span(), "from start to the first good answers of its probes"),
    ),
    ordered=(("backoff", "backoff_max"),),
)

FLAPPING = Table(
    "services.NAME.flapping",
    "How often a member may come and go before it is kept out of traffic for a while.",
    model.FlapPolicy,
    (
        Key("falls_max", Whole(1, 1000), "more falls than this in a window is flapping"),
        Key("window", Span(SECOND), "the window that falls are counted in"),
        Key("hold", Span(), "how long to keep it out; doubles with each time", field="hold_min"),
        Key("hold_max", Span(), "the longest time to keep it out"),
    ),
    ordered=(("hold", "hold_max"),),
)

SERVICE = Table(
    "services.NAME",
    "One service: what clients use, as a set of members that can stand in for each other.",
    model.ServicePolicy,
    (
        Key(
            "mode",
            Choice(model.Mode),
            "active-active: all members serve. active-standby: all run, one serves. singleton: one runs, never two. "
            "Required with more than one member",
            default="singleton with one member",
        ),
        Key(
            "members",
            Later(Members()),
            "names with settings (`web-1: { port: 8081 }`), a list of names, or how many: 2 gives NAME-1 and NAME-2",
            default="1",
        ),
        Key(
            "host",
            Host(),
            "where the members' ports are reached",
            default="`127.0.0.1`, or the addresses of their hosts",
        ),
        Key("port", PortFrom(), "the members' port; `8081+` counts up from member to member", default="none"),
        Key("run", Later(Run(RUN)), "how to run a member; required unless each member has its own"),
        Key("probes", Later(PROBES), "what to ask each member, by a name for each probe", default="none"),
        Key("depends_on", ListOf(name_kind()), "services that must serve before this one starts"),
        Key("restart", Section(RESTART), "when to restart, when to give up"),
        Key("flapping", Section(FLAPPING), "when a member comes and goes too often"),
        Key("traffic", Traffic(TRAFFIC), "where clients reach it", default="no traffic through holdfast"),
        Key("threshold", _SHARE, "health at or under this is an incident"),
        Key("weight", _WEIGHT, "weight of its members' health in the system's"),
        Key("failback", Flag(), "go back to the first member once it is stable again"),
        Key(
            "panic_threshold",
            _SHARE,
            "share of usable members under which failed probes take no more traffic away",
        ),
        Key(
            "placement",
            Section(PLACEMENT),
            "several hosts: where its members may run",
            default="anywhere, spread over the hosts",
        ),
        Key(
            "on_coordinator_loss",
            Choice(model.CoordinatorLoss),
            "several hosts, while the coordinator cannot be reached. stop: the primary stops before its lease can end. "
            "hold: it goes on as long as all other hosts promise, directly, not to take over",
        ),
        Key(
            "needs_fencing",
            Flag(),
            "several hosts: take over only once the lost primary's host is fenced; each host needs a fence",
        ),
        Key(
            "with_primary_of",
            name_kind(),
            "several hosts: it serves where the primary of this service is, and follows it; each member needs its host",
            default="wherever it can",
        ),
    ),
    example="write, for example, web: { run: [my-server] }",
)


class StatsAddress(HostPort, frozen=True):
    """An address, kept as text."""

    def read(self, node: Node, scope: Scope) -> str | Invalid:  # type: ignore[override]  # text instead of Address
        """Return host:port."""
        address = super().read(node, scope)
        return INVALID if address is INVALID else str(address)


HAPROXY = Table(
    "haproxy",
    "The HAProxy that carries the traffic. holdfast writes its configuration and runs it.",
    model.HaproxyPolicy,
    (
        Key("program", FilePath(keep_bare=True), "the program; a bare word is found on the PATH"),
        Key("connections_max", Whole(10, 10_000_000), "connections at a time"),
        Key("check_every", Span(100 * MILLISECOND, MINUTE), "how often HAProxy itself checks each member"),
        Key(
            "stats",
            StatsAddress(),
            "host:port of HAProxy's own page",
            field="stats_listen",
            default="no page",
        ),
    ),
)

CONTROL = Table(
    "control",
    "Who may give the agent commands, besides root and the agent's own user.",
    model.ControlPolicy,
    (Key("group", AccountName(is_group=True), "members of this group", default="nobody else"),),
)

ROOT = Table(
    "",
    "The whole file. Keys that begin with x- are ignored: they are a place for YAML anchors.",
    model.Policy,
    (
        Key("system", name_kind(), "the system's name", is_required=True),
        Key("threshold", _SHARE, "health of the system at or under this is an incident"),
        Key(
            "services", Later(MapOf(name_kind(), Section(SERVICE))), "the services by name", is_required=True
        ),
        Key("haproxy", Section(HAPROXY), "the HAProxy that carries the traffic"),
        Key("control", Section(CONTROL), "who may give the agent commands"),
        Key("cluster", Cluster(CLUSTER), "several hosts: how they hold together", default="one host"),
        Key("hosts", Later(HOSTS), "several hosts: their names and addresses", default="one host"),
    ),
    example="begin with system: NAME and services:",
    has_extensions=True,
)
