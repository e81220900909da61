"""Settling: whether all hosts together are as they should be again, once no more faults come."""

from collections.abc import Iterator

from holdfast.model.ids import ComponentId, component_id
from holdfast.model.policy import Policy, ServicePolicy
from holdfast.model.standing import Status
from holdfast.sim.cluster.agent import ClusterAgent
from holdfast.sim.cluster.host import Host
from holdfast.sim.cluster.judging import Judging
from holdfast.sim.cluster.store import Store
from holdfast.sim.policies import digests
from holdfast.sim.truth import wanted


def unsettled(hosts: dict[str, Host], store: Store, judging: Judging, policy: Policy) -> list[str]:
    """Return what is not as it should be."""
    return list(_all(hosts, store, judging, policy))


def _all(hosts: dict[str, Host], store: Store, judging: Judging, policy: Policy) -> Iterator[str]:
    if store.leader is None:
        yield "nobody leads"
    yield from (f"the wish for {name} is not done" for name in store.wishes)
    for host in hosts.values():
        if (agent := host.live_agent) is None:
            yield f"{host.name} has no agent"
            continue
        yield from (f"{host.name}: {text}" for text in _host(host, agent, policy))
    for service in policy.services.values():
        yield from _service(service, hosts, store, judging)


def _host(host: Host, agent: ClusterAgent, policy: Policy) -> Iterator[str]:
    now = agent.clock.now
    if not agent.state.session.is_sure(now):
        yield "it has no session"
    if agent.state.policy.revision != policy.revision:
        yield f"it has file {agent.state.policy.revision}, not {policy.revision}"
    yield from (f"{subject} is withheld: {why}" for subject, why in agent.state.withheld.items())
    yield from (f"{subject} is in flight" for subject in agent.state.flights)
    state = host.shell.state
    should = set(wanted(state))
    expected = digests(state.policy)
    for id_ in sorted(should):
        component = state.components[id_]
        yield from (f"{id_} {text}" for text in _component(host, id_, expected[id_]))
        if component.status is not Status.UP:
            yield f"{id_} is {component.status}: {component.reason}"
    yield from (f"{id_} runs and should not" for id_ in host.truth.lives if id_ not in should)


def _component(host: Host, id_: ComponentId, digest: str) -> Iterator[str]:
    life = host.truth.lives.get(id_)
    if life is None:
        yield "does not run"
    elif life.is_frozen or life.is_hung or host.agent_clock.now < life.ready_at:
        yield "runs, but serves nobody"
    elif life.digest != digest:
        yield "runs with old settings"


def _service(service: ServicePolicy, hosts: dict[str, Host], store: Store, judging: Judging) -> Iterator[str]:
    running = [
        (host.name, member.name)
        for host in hosts.values()
        for member in service.members
        if component_id(service.name, member.name) in host.truth.lives
    ]
    if service.is_exclusive:
        serving = judging.primary_of(service.name)
        holder = store.holders.get(service.name)
        if serving is None:
            yield f"{service.name} is served by nobody"
        elif holder is None or holder.lease.host != serving.host:
            yield f"{service.name} is served by {serving.host}, and its lease is {holder and holder.lease.host}'s"
        return
    for member in service.members:
        places = [host for host, name in running if name == member.name]
        if len(places) != 1:
            yield f"{service.name}/{member.name} runs on {places}"
