"""Which host of the cluster this is, found out before the agent starts: its name, and the cluster's key."""

import errno
import socket
from typing import NamedTuple

from holdfast.config.secrets import SecretError, read_secret
from holdfast.loop.localizing import UnknownHostError, which_host
from holdfast.model.ids import HostName
from holdfast.model.policy import Policy, SecretFrom

_SECRET_MIN_BYTES = 16


class HostError(Exception):
    """This machine cannot be a host of the cluster; the text says why and what to do."""


class Host(NamedTuple):
    """This host."""

    name: HostName
    secret: bytes


def host_of(policy: Policy, name: str | None) -> Host | None:
    """Return which host of `policy` this machine is; None if the file knows one host only. HostError if it cannot be told."""
    if policy.cluster is None:
        if name is not None:
            raise HostError(
                f"--host {name}: the file has no hosts; write `cluster` and `hosts`, or leave --host out"
            )
        return None
    try:
        found = which_host(policy, name, _own_addresses(policy), socket.gethostname())
    except UnknownHostError as error:
        raise HostError(str(error)) from error
    return Host(found, cluster_key(policy.cluster.secret))


def check_address(policy: Policy, name: HostName) -> None:
    """See that beats can be listened for, before anything is started; HostError says why not, and what to do."""
    assert policy.cluster is not None
    address, port = policy.hosts[name].address, policy.cluster.port
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)
        with socket.socket(*found[0][:2]) as probe:
            probe.bind(found[0][4])
    except OSError as error:
        hints = {
            errno.EADDRNOTAVAIL: f"this machine does not have {name}'s address: is it another host (--host), or hosts.{name}.address wrong?",
            errno.EADDRINUSE: "another program has the port, such as an agent of another system: cluster.port names another one",
        }
        hint = hints.get(error.errno or 0, "")
        message = (
            f"cannot listen for heartbeats as {name} on {address}, port {port}: {error.strerror or error}"
        )
        raise HostError(f"{message}; {hint}" if hint else message) from error


def cluster_key(place: SecretFrom) -> bytes:
    """Return the cluster's key; HostError if it cannot be read or is too short to be one."""
    try:
        key = read_secret(place).strip()
    except SecretError as error:
        raise HostError(f"cluster.secret: {error}; `holdfast secret` makes one") from error
    if len(key) < _SECRET_MIN_BYTES:
        where = f"file {place.file}" if place.file is not None else f"variable {place.env}"
        raise HostError(
            f"cluster.secret: {where} holds {len(key)} bytes; at least {_SECRET_MIN_BYTES} are needed, and `holdfast secret` makes 32"
        )
    return key


def _own_addresses(policy: Policy) -> tuple[str, ...]:
    """Return those addresses of the file's hosts that are this machine's: those that a socket may be bound to."""
    return tuple(host.address for host in policy.hosts.values() if _is_own(host.address))


def _is_own(address: str) -> bool:
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    family, kind, _, _, where = found[0]
    with socket.socket(family, kind) as probe:
        try:
            probe.bind(where)
        except OSError:
            return False
    return True
