"""Elsewhere: where a component runs that this host does not look after, and what to type to reach it there."""

from collections.abc import Mapping

from holdfast.model.ids import ComponentId, HostName, MemberName, member_of, service_of
from holdfast.model.policy import Policy


def elsewhere_hint(
    policy: Policy, component: ComponentId, placed: Mapping[MemberName, HostName] | None = None
) -> str:
    """Return where `component` runs and how to ask there; empty if it is of this host, or of none.

    `policy` is localized. `placed` says where the service's movable members run, as the leader assigned them.
    """
    service = policy.services.get(service_of(component))
    if service is None:
        return ""
    name = member_of(component)
    member = next((member for member in service.elsewhere if member.name == name), None)
    if member is None:
        return ""
    host = member.on or (placed or {}).get(name)
    if host is None:
        return f"{component} runs on no host at present: the leader has not placed it"
    return f"{component} runs on {host}: ask there, with `holdfast --host {host} ...`"
