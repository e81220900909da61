"""Where things listen and what probes ask: ports, addresses, URLs, HTTP statuses."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from holdfast.config.document import Node, Scalar, Sequence
from holdfast.config.kinds import Kind, RefusedError, Schema, Text
from holdfast.config.quantities import Whole
from holdfast.config.scope import INVALID, Invalid, Scope, assignment
from holdfast.model import blanks
from holdfast.model.value import Value

LOOPBACK = "127.0.0.1"
PORT = Whole(1, 65535)

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:]*)):(\d{1,5})", re.ASCII)
_STATUS = re.compile(r"([1-5]\d\d)(?:-([1-5]\d\d))?", re.ASCII)


class Address(Value, frozen=True):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(Value, frozen=True):
    """What an HTTP probe asks for."""

    address: Address
    path: str
    tls: bool


class CountingPort(Value, frozen=True):
    """A service's port: the first member's, and whether it counts up from member to member."""

    first: int
    counts: bool

    def of(self, index: int) -> int:
        """Return the port of the member at `index`."""
        return self.first + index if self.counts else self.first


class PortFrom(Kind, frozen=True):
    """One port, or `8081+` for one port after the other."""

    def parse(self, scalar: Scalar) -> CountingPort:
        """Return the port."""
        counts = scalar.text.endswith("+") and scalar.tag == "str"
        number = scalar.text[:-1] if counts else scalar.text
        try:
            return CountingPort(
                PORT.parse(Scalar(scalar.place, number, "int" if counts else scalar.tag)), counts
            )
        except RefusedError as refused:
            raise RefusedError(f"must be {self.words}", refused.hint) from None

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a port from 1 to 65535, or the first of several, such as 8081+"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"oneOf": [PORT.schema(), {"type": "string", "pattern": r"^[1-9]\d{0,4}\+$"}]}


class Host(Kind, frozen=True):
    """A host name or an IP address."""

    def parse(self, scalar: Scalar) -> str:
        """Return it."""
        if not is_host(scalar.text):
            raise RefusedError(f"must be {self.words}")
        return scalar.text

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a host name or an IP address"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


class HostPort(Kind, frozen=True):
    """A host and a port, or a port alone: on this host, or of the member that is probed."""

    def read(self, node: Node, scope: Scope) -> Address | Invalid:
        """Return the address."""
        own_host = (scope.variables or {}).get("host", LOOPBACK)
        if not isinstance(node, Scalar) or node.is_null:
            return scope.refuse(node, f"must be {self.words}")
        text = scope.fill(node)
        if text is INVALID:
            return INVALID
        try:
            if text.isdecimal():
                return Address(own_host, PORT.parse(Scalar(node.place, text, "int")))
            return parse_address(text)
        except RefusedError as refused:
            hint = assignment(node, f'"0.0.0.0{text}"') if text.startswith(":") else ""
            return scope.refuse(node, refused.message, f"for all addresses write {hint}" if hint else "")

    @property
    def words(self) -> str:
        """What is allowed."""
        return "host:port such as 127.0.0.1:8080, or a port alone"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"oneOf": [PORT.schema(), {"type": "string", "minLength": 1}]}

    def written(self, value: Address | str) -> str:
        """Return host and port."""
        return str(value)


class HttpTarget(Kind, frozen=True):
    """A URL, or a path alone: at the member's own host and port."""

    def read(self, node: Node, scope: Scope) -> Target | Invalid:
        """Return what to ask for."""
        text: str | Invalid = Text(named=self.words).read(node, scope)
        if text is INVALID:
            return INVALID
        variables = scope.variables or {}
        if text.startswith("/") and "port" not in variables:
            return scope.refuse(
                node, "the member has no port to ask", "give the service a port, or write the whole URL"
            )
        try:
            if text.startswith("/"):
                address = Address(variables["host"], int(variables["port"]))
                return parse_url(f"http://{address}{text}")
            return parse_url(text)
        except RefusedError as refused:
            return scope.refuse(node, refused.message, refused.hint)

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a URL such as http://127.0.0.1:{port}/healthz, or a path such as /healthz"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": "^(https?://|/|\\{)"}


class Statuses(Kind, frozen=True):
    """HTTP statuses that are good: one, a range, or a list of both."""

    def read(self, node: Node, scope: Scope) -> tuple[tuple[int, int], ...] | Invalid:
        """Return closed ranges."""
        items = node.items if isinstance(node, Sequence) else (node,)
        if not items:
            return scope.refuse(node, f"must be {self.words}")
        ranges = tuple(super(Statuses, self).read(item, scope) for item in items)
        return INVALID if INVALID in ranges else ranges

    def parse(self, scalar: Scalar) -> tuple[int, int]:
        """Return one range."""
        match = _STATUS.fullmatch(scalar.text)
        if match is None or int(match[1]) > int(match[2] or match[1]):
            raise RefusedError(f"must be {self.words}")
        return int(match[1]), int(match[2] or match[1])

    @property
    def words(self) -> str:
        """What is allowed."""
        return "an HTTP status, a range such as 200-399, or a list of them"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        one = [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": r"^[1-5]\d\d(-[1-5]\d\d)?$"},
        ]
        return {"oneOf": [*one, {"type": "array", "minItems": 1, "items": {"oneOf": one}}]}

    def written(self, value: tuple[tuple[int, int], ...]) -> str:
        """Return the ranges."""
        return ", ".join(f"{low}-{high}" if low != high else str(low) for low, high in value)


def is_host(text: str) -> bool:
    """Tell whether `text` can be a host's name or address, once it is filled in."""
    return is_ip(text) or _HOST.fullmatch(blanks.shaped(text)) is not None


def is_ip(text: str) -> bool:
    """Tell whether `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def parse_address(text: str) -> Address:
    """Return the address in `text`: host:port, [ipv6]:port, or *:port for every address of this host."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise RefusedError("must be host:port such as 127.0.0.1:8080, or a port alone")
    host = match[1] or match[2]
    if host == "*":
        host = "0.0.0.0"  # noqa: S104 - the operator asks for it
    if not (is_ip(host) if match[1] else is_host(host)):
        raise RefusedError("must be host:port, with a host name or an IP address")
    port = int(match[3])
    if not 1 <= port <= 65535:
        raise RefusedError("must have a port from 1 to 65535")
    return Address(host, port)


def parse_url(text: str) -> Target:
    """Return what an HTTP probe asks for."""
    try:
        url: SplitResult = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise RefusedError(f"is not a URL: {error}".lower()) from None
    if url.scheme not in ("http", "https") or not host or not is_host(host):
        raise RefusedError("must be a URL such as http://127.0.0.1:8080/healthz")
    if url.username is not None or url.password is not None:
        raise RefusedError("must not hold a user or password", "write an Authorization header under headers:")
    if re.search(r"[^\x21-\x7e]", blanks.shaped(text)):
        raise RefusedError("must not hold blanks or characters outside ASCII", "write them as %20 and so on")
    if port == 0:
        raise RefusedError("must have a port from 1 to 65535")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    tls = url.scheme == "https"
    return Target(Address(host, port or (443 if tls else 80)), path, tls)
