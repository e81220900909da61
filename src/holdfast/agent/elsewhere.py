"""Elsewhere: where a component runs that this host does not look after, and what to type to reach it there."""

from collections.abc import Mapping

from holdfast.loop.localizing import Placed
from holdfast.model.events import Command, DrainRequested, RestartRequested, ResumeRequested
from holdfast.model.ids import ComponentId, HostName, MemberName, component_id, member_of, service_of
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


def not_here(policy: Policy, command: Command, placed: Placed) -> str | None:
    """Return where to ask for what `command` wants, if nothing that it names is on this host; None if something is."""
    match command:
        case (
            DrainRequested(component=target)
            | RestartRequested(target=target)
            | ResumeRequested(target=target)
        ):
            if target is None:
                return None
        case _:
            return None
    where = placed.get(service_of(target), {})
    if "/" in target:
        return elsewhere_hint(policy, target, where) or None
    service = policy.services.get(target)
    if not isinstance(command, RestartRequested) or service is None or service.members:
        return None
    hints = (elsewhere_hint(policy, component_id(target, one.name), where) for one in service.elsewhere)
    return "; ".join((f"{target} has no member on this host", *hints))
