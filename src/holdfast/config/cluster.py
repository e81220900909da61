"""How several hosts hold together: their coordinator, their common key, how long a lease lasts."""

from holdfast.config.addresses import PORT
from holdfast.config.commands import FilePath
from holdfast.config.coordinator import Coordinator
from holdfast.config.document import Node, Scalar
from holdfast.config.keys import Key, Reading, Section, Table
from holdfast.config.kinds import Text
from holdfast.config.quantities import Span, Whole
from holdfast.config.scope import INVALID, Invalid, Scope
from holdfast.model import policy as model
from holdfast.model.time import MILLISECOND, MINUTE, SECOND, show_duration

BEATS_MIN = 10  # heartbeats in a lease: some may be lost without anybody being given up

KEPT_SECRET = Table(
    "cluster.secret",
    "Where a secret is kept: its place instead of its text, the same on every host. Exactly one key.",
    model.SecretFrom,
    (
        Key("file", FilePath(), "the content of this file, without its last line end"),
        Key(
            "env",
            Text("[A-Za-z_][A-Za-z0-9_]*", "a variable's name of letters, digits and _"),
            "this variable of holdfast's own environment",
        ),
    ),
    exactly_one=("file", "env"),
    example="write { file: /etc/holdfast/cluster.key }",
)


class Secret(Section, frozen=True):
    """A secret's place. Who writes the secret itself is told so, and does not see it again in the error."""

    def read(self, node: Node, scope: Scope) -> model.SecretFrom | Invalid:
        """Return the place."""
        if isinstance(node, Scalar) and not node.is_null:
            scope.refuse_at(node.place, "must be a secret's place, not the secret itself", self.table.example)
            return INVALID
        secret: model.SecretFrom | Invalid = super().read(node, scope)
        return secret


TLS = Table(
    "cluster.tls",
    "The certificates with which agents prove to each other who they are, the same paths on every host.",
    model.TlsPolicy,
    (
        Key("ca", FilePath(), "the certificate of who signed the hosts' certificates", is_required=True),
        Key("cert", FilePath(), "this host's certificate", is_required=True),
        Key("key", FilePath(), "its private key", is_required=True),
    ),
    example="write { ca: /etc/holdfast/ca.pem, cert: /etc/holdfast/host.pem, key: /etc/holdfast/host.key }",
)

CLUSTER = Table(
    "cluster",
    "How several hosts hold together. Needs `hosts`.",
    model.ClusterPolicy,
    (
        Key(
            "coordinator",
            Coordinator(),
            "the ensemble on which the hosts agree: zookeeper://, etcd://, or etcds:// with TLS. embedded:///FOLDER is "
            "for tests with all hosts on one machine",
            is_required=True,
        ),
        Key(
            "secret",
            Secret(KEPT_SECRET),
            "the key that all hosts share: it signs heartbeats and what stands in the coordinator",
            is_required=True,
        ),
        Key(
            "lease",
            Span(SECOND, 5 * MINUTE),
            "how long the primary role of a host that fell silent stays its own; "
            f"at least {BEATS_MIN} x heartbeat",
        ),
        Key(
            "heartbeat",
            Span(20 * MILLISECOND, 5 * SECOND),
            "how often each host tells the others that it is there",
        ),
        Key("port", PORT, "where agents hear each other: heartbeats (UDP) and, with tls, commands (TCP)"),
        Key("tls", Section(TLS), "certificates between agents", default="no commands from other hosts"),
        Key("moves_max", Whole(1, 1000), "members that are moved to other hosts within a minute at most"),
    ),
    example="write { coordinator: etcd://10.0.0.1:2379, secret: { file: /etc/holdfast/cluster.key } }",
)


class Cluster(Section, frozen=True):
    """How several hosts hold together."""

    def check(self, reading: Reading, scope: Scope) -> bool:
        """Tell whether a lease outlasts enough heartbeats; note it if not."""
        if reading.invalid & {"lease", "heartbeat"}:
            return True
        lease, least = reading.get("lease"), BEATS_MIN * reading.get("heartbeat")
        if lease >= least:
            return True
        if "lease" in reading.values:
            message = f"must be at least {BEATS_MIN} x heartbeat ({show_duration(least)})"
            where, value = "lease", lease
        else:
            message = f"must be at most a tenth of lease ({show_duration(lease)}, its default)"
            where, value = "heartbeat", reading.get("heartbeat")
        hint = "raise lease or lower heartbeat"
        scope.refuse_at(reading.key_places[where], message, hint, seen=f'"{show_duration(value)}"')
        return False
