"""Settling: whether everything is as it should be again, once no more faults come."""

from collections.abc import Iterator

from holdfast.model.ids import component_id, service_of
from holdfast.model.policy import Mode, Policy, ServicePolicy
from holdfast.model.routing import Lane
from holdfast.model.standing import Status
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.sim.policies import digests
from holdfast.sim.truth import World, wanted


def unsettled(state: State, world: World, policy: Policy, now: Instant) -> list[str]:
    """Return what is not as it should be."""
    return list(_all(state, world, policy, now))


def _all(state: State, world: World, policy: Policy, now: Instant) -> Iterator[str]:
    expected = digests(policy)
    should = wanted(state)
    for id_ in should:
        life, component = world.lives.get(id_), state.components[id_]
        if life is None:
            yield f"{id_} does not run"
        elif life.is_frozen or life.is_hung or now < life.ready_at:
            yield f"{id_} runs, but serves nobody"
        elif life.digest != expected[id_]:
            yield f"{id_} runs with old settings"
        if component.status is not Status.UP:
            yield f"{id_} is {component.status}: {component.reason}"
        if component.flight is not None:
            yield f"{component.flight.action} {id_} is in flight"
    yield from (f"{id_} runs and should not" for id_ in world.lives if id_ not in should)
    for service in policy.services.values():
        yield from _service(state, world, service)
    yield from (
        f"{i.id} is open: {i.cause.text if i.cause else i.service}"
        for i in state.incidents.values()
        if i.is_open
    )
    if state.policy is not policy:
        yield "the core has another file"


def _service(state: State, world: World, service: ServicePolicy) -> Iterator[str]:
    entry = state.services[service.name]
    if not entry.serving:
        yield f"{service.name} does not serve"
    holders = [id_ for id_, life in world.lives_of(service.name) if life.is_primary]
    if service.mode is not Mode.ACTIVE_ACTIVE and len(holders) != 1:
        yield f"{service.name} has {len(holders)} members that serve alone"
    if service.traffic is None:
        return
    carried = world.balancer.get(service.name)
    if carried is None:
        yield f"{service.name} gets no traffic"
        return
    for member in service.members:
        id_ = component_id(service.name, member.name)
        lane = carried.lanes.get(member.name)
        serves = service.mode is Mode.ACTIVE_ACTIVE or id_ in holders
        if serves and lane is not Lane.IN:
            yield f"{id_} should get traffic and is {lane}"
        if member.name in carried.readers and (carried.readers[member.name] is Lane.IN) == (id_ in holders):
            yield f"{id_} is {carried.readers[member.name]} for those who read"
        if (
            not serves
            and id_ in world.lives
            and lane is Lane.IN
            and (service.mode is Mode.SINGLETON or id_ in world.hooked)
        ):
            yield f"{id_} should not get traffic and is {lane}"
    if (
        holders
        and service.mode is not Mode.ACTIVE_ACTIVE
        and component_id(service.name, carried.active or "") != holders[0]
    ):
        yield f"{service.name}'s traffic goes to {carried.active}, and {holders[0]} serves"
    assert all(service_of(id_) == service.name for id_ in holders)
