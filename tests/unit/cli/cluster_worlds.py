"""Hand-made clusters for the tests of the command line: what h1 of three hosts could have said."""

from holdfast.agent.cluster_status import ClusterStatus, ElsewhereStatus, HostStatus, LeaseStatus
from holdfast.loop.cluster.state import Note
from holdfast.model.cluster import LEASE_BLOCK, Assignment, Lease, MemberReport
from holdfast.model.policy import MemberPolicy, Mode, Policy, ProcessSpec, ServicePolicy
from holdfast.model.postgresql import Record
from holdfast.model.routing import Lane
from holdfast.model.standing import Role, Status
from holdfast.model.state import ServiceState, State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from tests.unit.cli import worlds

FILE = """\
system: shop
cluster: { coordinator: "etcd://10.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 10.0.0.1 }, h2: { address: 10.0.0.2 }, h3: { address: 10.0.0.3 } }
services:
  db:
    mode: active-standby
    members: { db-1: { on: h1 }, db-2: { on: h2 } }
    run: [sleep, inf]
"""
CHANGED = FILE.replace("[sleep, inf]", "[sleep, infinity]")
EPOCH = 3 * LEASE_BLOCK + 1

_RUN = ProcessSpec(("sleep", "inf"))


def db_policy() -> ServicePolicy:
    return ServicePolicy(
        "db",
        Mode.ACTIVE_STANDBY,
        (MemberPolicy("db-1", _RUN, on="h1"),),
        is_leased=True,
        elsewhere=(MemberPolicy("db-2", _RUN, on="h2"),),
    )


def web_policy() -> ServicePolicy:
    """Return a service whose members are placed: one is here, one on h2, one on h3."""
    return ServicePolicy(
        "web",
        Mode.ACTIVE_ACTIVE,
        (MemberPolicy("web-1", _RUN),),
        elsewhere=(MemberPolicy("web-2", _RUN), MemberPolicy("web-3", _RUN)),
    )


def report(role: Role = Role.STANDBY, epoch: int = 0, lane: Lane = Lane.IN) -> MemberReport:
    return MemberReport(Status.UP, role, epoch, lane, share=1.0, is_stable=True)


def silent(host: str, told: MemberReport) -> MemberReport:
    return replace(told, status=Status.DOWN, lane=Lane.OUT, share=0.0, reason=f"{host} is silent")


def calm() -> State:
    """Return h1's own state: db-2 on h2 is primary, everybody serves web."""
    state = State(
        policy=Policy("shop", {"db": db_policy(), "web": web_policy()}, revision="4f1c"),
        components={
            "db/db-1": worlds.up("db/db-1", 4410),
            "web/web-1": worlds.up("web/web-1", 4411),
        },
        services={
            "db": ServiceState("db", epoch=0, health=1.0, serving=True, serving_since=worlds.FAULT),
            "web": ServiceState("web", health=1.0, serving=True, serving_since=worlds.FAULT),
        },
        health=1.0,
        surveyed_at=worlds.NOW - SECOND,
        wall_offset=worlds.OFFSET,
        boot="b00t",
        elsewhere={
            "db/db-2": report(Role.PRIMARY, EPOCH),
            "web/web-2": report(),
            "web/web-3": report(),
        },
    )
    return replace(state, entitlements={})


def host(name: str, *leases: str, leads: bool = False) -> HostStatus:
    is_me = name == "h1"
    return HostStatus(
        name=name,
        address=f"10.0.0.{name[1:]}",
        is_me=is_me,
        leads=leads,
        has_session=True,
        reach="me" if is_me else "heard",
        silent_s=None if is_me else 0.04,
        revision="4f1c",
        version="0.1.0",
        problem="",
        leases=leases,
    )


def lease(holder: str = "db-2", on: str = "h2") -> LeaseStatus:
    assignment = Assignment("db", 5, holder=holder, host=on, why="planned switchover")
    return LeaseStatus("db", Lease("db", on, holder, 3, "1a2b"), assignment, left_s=None)


def cluster() -> ClusterStatus:
    return ClusterStatus(
        me="h1",
        is_connected=True,
        is_current=True,
        problem="",
        hosts=(host("h1", leads=True), host("h2", "db"), host("h3")),
        leases=(lease(),),
        elsewhere=(
            ElsewhereStatus("db/db-2", "h2", report(Role.PRIMARY, EPOCH)),
            ElsewhereStatus("web/web-2", "h2", report()),
            ElsewhereStatus("web/web-3", "h3", report()),
        ),
        policy_number=2,
        policy_waiting="",
        withheld={},
        refused_beats={"unproven": 3},
        notes=(
            Note(worlds.FAULT, "info", "db", "assigned", "db-2 on h2; planned switchover"),
            Note(worlds.FAULT + SECOND, "warn", "h3", "silent", "no beat of it comes"),
            Note(worlds.FAULT + 2 * SECOND, "info", "h3", "heard", "its beats come again"),
        ),
        assignments=(Assignment("web", 5, placed={"web-1": "h1", "web-2": "h2", "web-3": "h3"}),),
    )


def with_host(seen: ClusterStatus, changed: HostStatus) -> ClusterStatus:
    hosts = tuple(changed if one.name == changed.name else one for one in seen.hosts)
    return replace(seen, hosts=hosts)


def h2_lost() -> tuple[State, ClusterStatus]:
    """Return the world after h2 fell silent as primary: db-1 here took over."""
    state, seen = calm(), cluster()
    primary = worlds.up("db/db-1", 4410, Role.PRIMARY, 4 * LEASE_BLOCK + 1)
    elsewhere = {
        **state.elsewhere,
        "db/db-2": silent("h2", state.elsewhere["db/db-2"]),
        "web/web-2": silent("h2", state.elsewhere["web/web-2"]),
    }
    db = replace(state.services["db"], epoch=4 * LEASE_BLOCK + 1, health=0.6)
    state = replace(state.with_component(primary).with_service(db), elsewhere=elsewhere, health=0.8)
    lost = replace(host("h2"), has_session=False, reach="lost", silent_s=12.2)
    seen = with_host(with_host(seen, lost), host("h1", "db", leads=True))
    held = LeaseStatus(
        "db",
        Lease("db", "h1", "db-1", 4, "9f8e"),
        Assignment("db", 5, holder="db-1", host="h1", why="h2 is gone"),
        left_s=2.4,
    )
    return state, replace(seen, leases=(held,), withheld={"web/web-2": "not placed: h2 may still come back"})


def holding() -> tuple[State, ClusterStatus]:
    """Return the world without a coordinator: db-1 here serves on, by the others' word."""
    state, seen = h2_lost()
    state = replace(state, elsewhere={**calm().elsewhere, "db/db-2": report()})
    held = replace(seen.leases[0], left_s=1.9, promised_by={"h2": 2.4, "h3": 2.5})
    hosts = tuple(replace(host(one.name), has_session=one.name != "h3") for one in seen.hosts)
    return state, replace(
        seen,
        is_connected=False,
        is_current=False,
        problem="etcd does not answer",
        hosts=hosts,
        leases=(held,),
    )


def committing(*voters: str) -> tuple[State, ClusterStatus]:
    """Return the calm world of a database whose commits wait for standbys, or would."""
    record = Record("db-2", voters, max(1, len(voters)), epoch=3)
    told = (
        "commits wait for 1 of db-1, db-3"
        if voters
        else "commits wait for no standby: none follows closely enough"
    )
    return calm(), replace(cluster(), leases=(replace(lease(), commits=told, record=record),))


def rolling() -> tuple[State, ClusterStatus]:
    """Return the world while a new file waits on its first host, and h3 is not believed."""
    seen = cluster()
    waits = "policy 3 by ann waits: h1 runs it, but web/web-1 there is unknown: starting"
    seen = with_host(seen, replace(host("h1", leads=True), revision="9a2b"))
    seen = with_host(seen, replace(host("h2", "db"), problem=waits))
    seen = with_host(seen, replace(host("h3"), reach="unknown", silent_s=None, revision="", version=""))
    return calm(), replace(seen, refused_beats={"bad seal": 41, "unproven": 3}, policy_number=3)
