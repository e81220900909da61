"""A coordinator by its address, as an operator writes it.

    embedded:///var/lib/holdfast/store
    zookeeper://zk1:2181,zk2:2181,zk3:2181/holdfast?user=holdfast&password_file=/etc/holdfast/password
    etcds://e1:2379,e2:2379,e3:2379/holdfast?ca=/etc/holdfast/ca.pem&cert=/etc/holdfast/host.pem&key=/etc/holdfast/host.key

The path is the prefix of all keys. The drivers' libraries are imported only when their scheme is used: nobody who needs no
ensemble has to install one.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from holdfast.coordination.limits import check_prefix
from holdfast.model.time import MILLISECOND, MINUTE, Duration, parse_duration, show_duration
from holdfast.model.value import Value
from holdfast.ports.coordination import Coordinator

DEFAULT_PREFIX = "/holdfast"
DEFAULT_PORTS = {"zookeeper": 2181, "etcd": 2379, "etcds": 2379}
OPTIONS = ("user", "password", "password_file", "tls", "ca", "cert", "key", "timeout")
TIMEOUT_MIN, TIMEOUT_MAX = 50 * MILLISECOND, 1 * MINUTE

_TLS_FILES = {"ca", "cert", "key"}
_URL = re.compile(r"([a-z]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?")


class AddressError(ValueError):
    """The address is not one, or what it needs is not here."""


class EnsembleAddress(Value, frozen=True):
    """What the address of an ensemble says."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    prefix: str
    options: Mapping[str, str]

    @property
    def has_tls(self) -> bool:
        """Return whether the ensemble is spoken to through TLS."""
        return (
            self.scheme == "etcds"
            or bool(self.options.keys() & _TLS_FILES)
            or self.options.get("tls") == "yes"
        )


def connect(url: str, *, limit: Duration | None = None, outlives_process: bool = False) -> Coordinator:
    """Return a client of the coordinator at `url`; AddressError says what is wrong with it. Connects when it is used.

    `limit` is how long one request to one server may take, where the address does not say (`timeout=`).
    `outlives_process`: sessions end by their ttl, not already with the process. Those of ensembles always do.
    """
    match = _URL.fullmatch(url)
    scheme = match[1] if match else ""
    if match is None or scheme not in {"embedded", *_DRIVERS}:
        allowed = ", ".join(f"{name}://" for name in ("embedded", *_DRIVERS))
        raise AddressError(f"coordinator = {_shown(url)!r}: must begin with one of {allowed}")
    return (
        _embedded(url, outlives_process=outlives_process)
        if scheme == "embedded"
        else _DRIVERS[scheme](url, limit)
    )


def parsed(url: str) -> EnsembleAddress:
    """Return what the address of an ensemble says; AddressError if it says nothing sensible."""
    match = _URL.fullmatch(url)
    assert match is not None  # `connect` has looked at the scheme
    scheme, hosts, path, query = match.groups()
    options = dict(parse_qsl(query or "", keep_blank_values=True))
    prefix = unquote(path).rstrip("/") or DEFAULT_PREFIX
    try:
        _check_options(scheme, options)
        _check_prefix(prefix)
        return EnsembleAddress(scheme, _hosts(hosts, DEFAULT_PORTS[scheme]), prefix, options)
    except ValueError as error:
        raise AddressError(f"coordinator = {_shown(url)!r}: {error}") from None


def _check_options(scheme: str, options: Mapping[str, str]) -> None:
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise ValueError(f"unknown option {unknown[0]!r}; allowed are {', '.join(OPTIONS)}")
    if options.get("tls", "yes") not in {"yes", "no"}:
        raise ValueError(f"tls = {options['tls']!r}: must be yes or no")
    if options.get("tls") == "no" and (scheme == "etcds" or options.keys() & _TLS_FILES):
        raise ValueError("tls=no contradicts etcds://, ca, cert and key")
    if ("cert" in options) != ("key" in options):
        raise ValueError("cert and key belong together")
    if ("user" in options) != bool(options.keys() & {"password", "password_file"}):
        raise ValueError("user and password (or password_file) belong together")


def _check_prefix(prefix: str) -> None:
    check_prefix(prefix)
    if f"{prefix}/".startswith("/zookeeper/"):
        raise ValueError("the path /zookeeper belongs to ZooKeeper itself")


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    if "@" in text:
        raise ValueError("write the user as ?user=...&password_file=..., not before the hosts")
    found = []
    for host in text.split(","):
        match = _HOST.fullmatch(host)
        port = int(match[2] or default_port) if match else 0
        if match is None or not 0 < port < 65536:
            raise ValueError(
                f"{host!r} is no host; write name:port, 10.0.0.1:port or [fd00::1]:port, with commas between"
            )
        found.append((match[1], port))
    return tuple(found)


def _shown(url: str) -> str:
    # An error message ends up in logs: no password does.
    return re.sub(r"(password=)[^&#]*", r"\1...", re.sub(r"//[^/@?]*@", "//...@", url))


# --- the drivers ----------------------------------------------------------------------------------------


def _embedded(url: str, *, outlives_process: bool) -> Coordinator:
    from holdfast.coordination.embedded import EmbeddedCoordinator  # noqa: PLC0415 - only who uses it pays for it

    path = unquote(url.removeprefix("embedded://"))
    if not path.startswith("/") or path == "/":
        raise AddressError(
            f"coordinator = {url!r}: write a folder, with three slashes: embedded:///var/lib/holdfast/store"
        )
    if "?" in path:
        raise AddressError(f"coordinator = {url!r}: embedded has no options")
    return EmbeddedCoordinator(Path(path), outlives_process=outlives_process)


def _zookeeper(url: str, limit: Duration | None) -> Coordinator:
    address = parsed(url)
    try:
        from holdfast.coordination.zookeeper import LIMIT, ZooKeeperCoordinator  # noqa: PLC0415 - as above
        from holdfast.coordination.zookeeper_line import Ensemble  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise _missing(error, url, "zookeeper") from error
    hosts = ",".join(f"{host}:{port}" for host, port in address.hosts)
    login = f"{address.options['user']}:{_password(address, url)}" if "user" in address.options else ""
    ensemble = Ensemble(hosts, login, _tls(address, url))
    return ZooKeeperCoordinator(ensemble, prefix=address.prefix, limit=_timeout(address, url, limit or LIMIT))


def _etcd(url: str, limit: Duration | None) -> Coordinator:
    address = parsed(url)
    try:
        from holdfast.coordination.etcd import LIMIT, EtcdCoordinator  # noqa: PLC0415 - as above
        from holdfast.coordination.etcd_gateway import Account  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise _missing(error, url, "etcd") from error
    scheme = "https" if address.has_tls else "http"
    account = Account(address.options["user"], _password(address, url)) if "user" in address.options else None
    return EtcdCoordinator(
        [f"{scheme}://{host}:{port}" for host, port in address.hosts],
        prefix=address.prefix,
        limit=_timeout(address, url, limit or LIMIT),
        account=account,
        tls=_tls(address, url),
    )


_DRIVERS: Mapping[str, Callable[[str, Duration | None], Coordinator]] = {
    "zookeeper": _zookeeper,
    "etcd": _etcd,
    "etcds": _etcd,
}


def _missing(error: ModuleNotFoundError, url: str, extra: str) -> Exception:
    if error.name is None or error.name.startswith("holdfast"):
        return error  # our own fault, not an extra that is not installed
    package = error.name.partition(".")[0]
    return AddressError(
        f"coordinator = {_shown(url)!r}: needs the Python package {package!r}, which is not installed; "
        f"run: pip install 'holdfast[{extra}]'"
    )


def _password(address: EnsembleAddress, url: str) -> str:
    if "password" in address.options:
        return address.options["password"]
    path = address.options["password_file"]
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise AddressError(
            f"coordinator = {_shown(url)!r}: cannot read password_file {path!r}: {error}"
        ) from None


def _tls(address: EnsembleAddress, url: str) -> ssl.SSLContext | None:
    if not address.has_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=address.options.get("ca"))
        if "cert" in address.options:
            context.load_cert_chain(address.options["cert"], address.options["key"])
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(
            f"{name}={address.options[name]}" for name in ("ca", "cert", "key") if name in address.options
        )
        raise AddressError(f"coordinator = {_shown(url)!r}: cannot use {files}: {error}") from None
    return context


def _timeout(address: EnsembleAddress, url: str, default: Duration) -> Duration:
    text = address.options.get("timeout")
    if text is None:
        return default
    try:
        timeout = parse_duration(text)
    except ValueError as error:
        raise AddressError(f"coordinator = {_shown(url)!r}: timeout = {error}") from None
    if not TIMEOUT_MIN <= timeout <= TIMEOUT_MAX:
        allowed = f"{show_duration(TIMEOUT_MIN)} to {show_duration(TIMEOUT_MAX)}"
        raise AddressError(f"coordinator = {_shown(url)!r}: timeout = {text!r}: must be {allowed}")
    return timeout
