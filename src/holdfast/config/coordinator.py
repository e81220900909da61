"""The coordinator's address, checked by its shape: whether anybody answers there, only connecting to it can tell.

The words are those of `holdfast.coordination.address`, which takes the address apart again when it connects.
"""

import re
from urllib.parse import parse_qsl, unquote

from holdfast.config.document import Node, Scalar
from holdfast.config.kinds import Kind, RefusedError, Schema, Text
from holdfast.config.problems import did_you_mean, quote
from holdfast.config.quantities import Span
from holdfast.config.scope import INVALID, Invalid, Scope
from holdfast.model.time import MILLISECOND, MINUTE
from holdfast.model.value import replace

SCHEMES = ("zookeeper", "etcd", "etcds", "embedded")
OPTIONS = ("user", "password_file", "tls", "ca", "cert", "key", "timeout")

_URL = re.compile(r"([a-z]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?", re.ASCII)
_PREFIX = re.compile(r"(?:/(?!\.\.?(?:/|$))[a-z0-9_.-]+)+")
_TIMEOUT = (50 * MILLISECOND, MINUTE)
_PASSWORD = re.compile(r"(password=)[^&#]*|//[^/@?]*@")


class Coordinator(Kind, frozen=True):
    """Where the hosts coordinate: an ensemble of ZooKeeper or etcd."""

    def read(self, node: Node, scope: Scope) -> str | Invalid:
        """Return the address. One that is refused is shown without what may be a password in it."""
        if isinstance(node, Scalar) and _PASSWORD.search(node.text):
            return self._without_password(node, scope)
        url: str | Invalid = super().read(node, scope)
        return url

    def _without_password(self, scalar: Scalar, scope: Scope) -> str | Invalid:
        seen = quote(_PASSWORD.sub(lambda found: f"{found[1]}..." if found[1] else "//...@", scalar.text))
        hint = "write ?user=NAME&password_file=/etc/holdfast/password"
        scope.refuse_at(scalar.place, "must not hold a password", hint, seen=seen)
        return INVALID

    def parse(self, scalar: Scalar) -> str:
        """Return the address."""
        url: str = Text(named=self.words).parse(scalar)
        match = _URL.fullmatch(url)
        if match is None or match[1] not in SCHEMES:
            raise RefusedError(f"must be {self.words}")
        scheme, servers, path, query = match.groups()
        if scheme == "embedded":
            _check_folder(servers, path, query)
        else:
            _check_prefix(unquote(path).rstrip("/"))
            for server in servers.split(","):
                _check_server(server)
            _check_options(scheme, query or "", scalar)
        return url

    @property
    def words(self) -> str:
        """What is allowed."""
        return "an address such as etcd://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379 or zookeeper://..."

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": f"^({'|'.join(SCHEMES)})://"}


def servers_of(url: str) -> tuple[str, ...]:
    """Return the servers that a valid address names; none if it is embedded."""
    match = _URL.fullmatch(url)
    assert match is not None
    return () if match[1] == "embedded" else tuple(dict.fromkeys(match[2].split(",")))


def _check_folder(servers: str, path: str, query: str | None) -> None:
    if servers or len(path) < 2:
        raise RefusedError(
            "must name a folder, with three slashes", "write embedded:///var/lib/holdfast/store"
        )
    if query is not None:
        raise RefusedError("must have no options: embedded has none")


def _check_prefix(prefix: str) -> None:
    if prefix and (not _PREFIX.fullmatch(prefix) or len(prefix) > 512):
        raise RefusedError(
            f"has {quote(prefix)} where a prefix of keys should be", "write lower-case words, such as /shop"
        )
    if f"{prefix}/".startswith("/zookeeper/"):
        raise RefusedError(
            "has the prefix /zookeeper, which belongs to ZooKeeper itself", "write another one"
        )


def _check_server(server: str) -> None:
    match = _SERVER.fullmatch(server)
    if match is None or not 0 < int(match[2] or 1) < 65536:
        message = f"has {quote(server)} where a server should be"
        raise RefusedError(message, "write name:port, 10.0.0.1:port or [fd00::1]:port, with commas between")


def _check_options(scheme: str, query: str, scalar: Scalar) -> None:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            raise RefusedError(f"has the unknown option {quote(name)}", did_you_mean(name, OPTIONS))
    if options.get("tls", "yes") not in {"yes", "no"}:
        raise RefusedError("must have tls=yes or tls=no")
    if options.get("tls") == "no" and (scheme == "etcds" or options.keys() & {"ca", "cert", "key"}):
        raise RefusedError("has tls=no, which contradicts etcds://, ca, cert and key")
    if "timeout" in options:
        try:
            Span(*_TIMEOUT).parse(replace(scalar, text=options["timeout"]))
        except RefusedError as refused:
            raise RefusedError(f"has a timeout that {refused.message}") from None
    for one, other in (("cert", "key"), ("user", "password_file")):
        if (one in options) != (other in options):
            raise RefusedError(f"has only one of {one} and {other}, which belong together")
