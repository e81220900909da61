"""Policies and texts for the tests of this folder."""

from pathlib import Path

from holdfast.model.policy import (
    Balance,
    HaproxyPolicy,
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Protocol,
    Purpose,
    ServicePolicy,
    TcpCheck,
    TrafficPolicy,
)
from holdfast.model.time import MILLISECOND

GOLDEN = Path(__file__).with_name("haproxy.cfg")
RUN = ProcessSpec(command=("true",))


def http(port: int, path: str = "/health") -> ProbePolicy:
    check = HttpCheck(
        "127.0.0.1", port, path, headers={"X-Ask": 'a "b" $c'}, expect_status=((200, 299), (404, 404))
    )
    return ProbePolicy("alive", Purpose.LIVENESS, check, timeout=400 * MILLISECOND, fall=2)


def ping(port: int) -> ProbePolicy:
    return ProbePolicy(
        "ping", Purpose.READINESS, TcpCheck("127.0.0.1", port, send="PING\r\n", expect="+PONG")
    )


def web() -> ServicePolicy:
    members = (
        MemberPolicy("web-1", RUN, probes=(http(8101),), port=8101, traffic_weight=200),
        MemberPolicy("web-2", RUN, probes=(http(9102),), host="::1", port=8102),
    )
    traffic = TrafficPolicy("0.0.0.0", 8080, balance=Balance.LEASTCONN)
    return ServicePolicy("web", Mode.ACTIVE_ACTIVE, members, traffic=traffic)


def cache() -> ServicePolicy:
    members = tuple(MemberPolicy(f"cache-{n}", RUN, probes=(ping(6400 + n),), port=6400 + n) for n in (1, 2))
    traffic = TrafficPolicy("::1", 6379, protocol=Protocol.TCP)
    return ServicePolicy("cache", Mode.ACTIVE_STANDBY, members, traffic=traffic)


def spread() -> ServicePolicy:
    members = (
        MemberPolicy("s-1", RUN, probes=(http(7101),), port=7101),
        MemberPolicy("s-2", RUN, port=7102),
    )
    return ServicePolicy(
        "spread", Mode.ACTIVE_ACTIVE, members, traffic=TrafficPolicy("127.0.0.1", 7000, Protocol.TCP)
    )


def job() -> ServicePolicy:
    return ServicePolicy("job", Mode.SINGLETON, (MemberPolicy("job-1", RUN),))


def policy(*services: ServicePolicy) -> Policy:
    chosen = services or (web(), cache(), spread(), job())
    page = HaproxyPolicy(stats_listen="127.0.0.1:8404")
    return Policy(system="shop", services={each.name: each for each in chosen}, haproxy=page)
