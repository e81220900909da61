"""Localizing: from the file of all hosts to what one host's own loop needs of it.

That loop knows one host: its `members` run here, those `elsewhere` are told to it by the cluster loop. So it stays the loop that it
is on a single host, and nothing in it asks where a member runs. What is not placed yet runs nowhere, and is in neither.
"""

import ipaddress
from collections.abc import Collection, Mapping

from holdfast.model import blanks
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.policy import HostPolicy, MemberPolicy, Policy, ServicePolicy
from holdfast.model.value import replace

Placed = Mapping[ServiceName, Mapping[MemberName, HostName]]


class UnknownHostError(ValueError):
    """It cannot be told which host of the file this machine is."""


def localized(policy: Policy, me: HostName, placed: Placed) -> Policy:
    """Return the policy as the host `me` carries it out, with movable members where `placed` has them.

    A member that is placed on a host which the file does not name, or no longer, runs nowhere. Without a cluster there is
    nothing to localize.
    """
    if policy.cluster is None:
        return policy
    services = {
        name: _localized(policy, service, me, placed.get(name, {}))
        for name, service in policy.services.items()
    }
    return replace(policy, services=services)


def placed_on(member: MemberPolicy, host: HostPolicy) -> MemberPolicy:
    """Return the member with everything filled in that depends on its host."""
    if member.on is not None:
        return member  # it was filled in when the file was read
    reached_at = member.host or host.address
    texts = {blanks.HOST: reached_at, blanks.ADDRESS: host.address, blanks.ON: host.name}
    return replace(blanks.filled(member, texts), host=reached_at)


def which_host(policy: Policy, name: str | None, addresses: Collection[str], hostname: str) -> HostName:
    """Return which host of the file this machine is: the one called `name`, else by its addresses, else by its hostname.

    UnknownHostError says what was seen and what the file allows.
    """
    if name is not None:
        if name not in policy.hosts:
            raise UnknownHostError(f"there is no host {name!r} in the file; it has {_listed(policy)}")
        return name
    mine = {_plain(address) for address in addresses}
    here = [host.name for host in policy.hosts.values() if _plain(host.address) in mine]
    names = {hostname.lower(), hostname.partition(".")[0].lower()}
    here = here or [host.name for host in policy.hosts.values() if {host.name, host.address.lower()} & names]
    if len(here) == 1:
        return here[0]
    has = f"the addresses {', '.join(sorted(mine))}" if mine else "no address of the file's hosts"
    seen = f"this machine is called {hostname!r} and has {has}"
    if here:
        raise UnknownHostError(f"{seen}: {' and '.join(here)} of the file fit; say with --host which it is")
    raise UnknownHostError(
        f"{seen}: no host of the file fits, it has {_listed(policy)}; say with --host which it is, or correct hosts"
    )


def _localized(
    policy: Policy, service: ServicePolicy, me: HostName, placed: Mapping[MemberName, HostName]
) -> ServicePolicy:
    if service.is_builtin:
        return service  # each host has its own
    here: list[MemberPolicy] = []
    elsewhere: list[MemberPolicy] = []
    for member in service.members:
        host = policy.hosts.get(member.on or placed.get(member.name, ""))
        if host is not None:
            (here if host.name == me else elsewhere).append(placed_on(member, host))
    return replace(service, members=tuple(here), elsewhere=tuple(elsewhere), is_leased=service.is_exclusive)


def _plain(address: str) -> str:
    """Return the address in its one way of being written."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower()


def _listed(policy: Policy) -> str:
    return ", ".join(f"{host.name} ({host.address})" for host in policy.hosts.values()) or "no hosts"
