"""A new file: what it adds appears, what it no longer names is kept only until it is stopped."""

from holdfast.model.events import PolicyChanged
from holdfast.model.ids import ComponentId, ServiceName, member_of
from holdfast.model.policy import Mode, Policy, ServicePolicy
from holdfast.model.standing import Role
from holdfast.model.state import ComponentState, Process, ProcessAbsent, ProcessUnknown, ServiceState, State
from holdfast.model.time import Instant
from holdfast.model.value import replace


def changed(state: State, event: PolicyChanged, now: Instant) -> State:
    """Take in the operator's new file."""
    components = {
        id_: component
        for id_, component in state.components.items()
        if not isinstance(component.process, ProcessAbsent) or component.flight is not None
    }
    for service in event.policy.services.values():
        for id_ in service.components:
            known = _component(state, id_, event.run_digests.get(id_, ""), now)
            components[id_] = _fitted(known, service, now)
    services = {name: _service(state, event.policy, name) for name in event.policy.services}
    for name, entry in state.services.items():
        services.setdefault(name, entry)  # housekeeping lets go of it once nothing of it is left
    return replace(state, policy=event.policy, components=components, services=services)


def _component(state: State, id_: ComponentId, digest: str, now: Instant) -> ComponentState:
    known = state.components.get(id_)
    if known is None:
        # Every survey lists whatever runs, named or not; so once there was one, what is new here is absent.
        process: Process = ProcessAbsent(now) if state.surveyed_at else ProcessUnknown(now)
        return ComponentState(id_, process, status_since=now, run_digest=digest)
    if known.run_digest in (digest, ""):
        return replace(known, run_digest=digest)
    # Other settings deserve a new chance: what was spent on the old ones says nothing of them.
    return replace(known, run_digest=digest, gave_up_at=None, attempts=0, restarted_at=())


def _fitted(component: ComponentState, service: ServicePolicy, now: Instant) -> ComponentState:
    """Return the component without what its service's new settings have no room for.

    The answers of a probe that is asked no more would stand for ever. And where all serve, nobody has a role:
    one that was kept would have to move before a restart, and nothing moves it.
    """
    member = service.member(member_of(component.id))
    asked = {probe.name for probe in member.probes} if member is not None else set()
    if not component.probes.keys() <= asked:
        kept = {name: seen for name, seen in component.probes.items() if name in asked}
        component = replace(component, probes=kept)
    if service.mode is Mode.ACTIVE_ACTIVE and component.role is not Role.STANDBY:
        component = replace(component, role=Role.STANDBY, role_since=now)
    return component


def _service(state: State, policy: Policy, name: ServiceName) -> ServiceState:
    known = state.services.get(name)
    if known is None:
        return ServiceState(name, epoch=state.epoch_floors.get(name, 0))
    if known.assigned is not None and policy.services[name].member(known.assigned) is None:
        return replace(known, assigned=None, switchover=None)
    return known
