"""HAProxy's configuration as text, from the policy alone.

Each service is one frontend and one backend of its name. HAProxy's own checks and its detection on
live traffic stay on: with holdfast dead the system still fails over, only slower. What changes while
running (lanes, the active member) is never in here: it goes over the runtime socket, and the active
member into a map file beside it, which HAProxy reads again when it restarts.
"""

import hashlib
from collections.abc import Iterator, Mapping

from holdfast.model.ids import MemberName, ServiceName
from holdfast.model.policy import MemberPolicy, Policy, Protocol, ServicePolicy, TrafficPolicy
from holdfast.model.time import MILLISECOND, Duration
from holdfast.traffic import checking, places
from holdfast.traffic.carrying import carried, is_nearest_first, is_reading

RING = "ev"  # HAProxy's own decisions, as lines
PAGE = "holdfast.page"  # the frontend of its own page; no service has a dot in its name
ALIVE = "/alive"
PARKED = "~"  # before a member's name in the map: it is the active one, but takes nothing new
NOBODY = "-"

# How many checks in a row let a DOWN server in. `fast_interval` apart, four of them take longer than
# the pushes that hold a server DOWN ever leave it alone, a late one included.
_RISE = 4


def fast_interval(policy: Policy) -> Duration:
    """Return how far apart HAProxy's checks are while a server is neither surely up nor surely down."""
    return max(20 * MILLISECOND, policy.haproxy.check_every // 10)


def cuts_when_down(service: ServicePolicy) -> bool:
    """Tell whether a server that goes down loses its sessions.

    A TCP session on one of many equals may outlive a short doubt. Everything else is better off anew:
    an HTTP request is tried on another member, instead of waiting for a hung one until its timeout.
    """
    return service.is_exclusive or _traffic(service).protocol is Protocol.HTTP


def digest_of(text: str) -> str:
    """Return what a running HAProxy that took over this configuration says of itself."""
    return next((line.split()[2].strip('"') for line in text.splitlines() if "description " in line), "")


def render(policy: Policy) -> str:
    """Return the whole configuration."""
    sections = [_defaults(), *_page(policy)]
    for service in carried(policy):
        sections += [_frontend(service), _backend(policy, service)]
    settings = list(_settings(policy))
    digest = hashlib.sha256(_text([settings, *sections]).encode()).hexdigest()[:16]
    settings.insert(1, f'description "holdfast {digest}"')
    ring = [f"ring {RING}", "format raw", "maxlen 1200", "size 65536"]
    return "# Written by holdfast: changes made here are lost.\n" + _text([settings, ring, *sections])


def render_map(policy: Policy, actives: Mapping[ServiceName, str]) -> str:
    """Return the map from exclusive service to its active member, PARKED and NOBODY included."""
    lines = [
        f"{s.name} {_known(s, actives.get(s.name, NOBODY))}\n" for s in carried(policy) if s.is_exclusive
    ]
    return "".join(lines)


def parse_map_file(text: str) -> Iterator[tuple[ServiceName, str]]:
    """Give the entries that `render_map` wrote; other lines are passed over: nobody may write there but we."""
    for line in text.splitlines():
        if len(words := line.split()) == 2:
            yield words[0], words[1]


def entry(active: MemberName | None, *, is_in: bool) -> str:
    """Return the map's word for the active member.

    `use-server` does not look at drain or weight, only at UP: a draining member has to be taken out here.
    """
    if active is None:
        return NOBODY
    return active if is_in else PARKED + active


def named_by(word: str | None) -> MemberName | None:
    """Return the member that the map's word names as the active one."""
    return None if word is None or word == NOBODY else word.removeprefix(PARKED)


def _known(service: ServicePolicy, word: str) -> str:
    return word if service.anywhere(named_by(word) or "") else NOBODY


def _settings(policy: Policy) -> Iterator[str]:
    yield "global"
    yield f"stats socket unix@{places.RUNTIME} mode 600 level admin expose-fd listeners"
    yield "stats timeout 1h"
    yield f"maxconn {policy.haproxy.connections_max}"
    yield "no strict-limits  # few file descriptors: serve fewer connections rather than none"
    yield "hard-stop-after 10m"
    yield "mworker-max-reloads 3"
    yield f"server-state-file {places.STATES}"
    yield f"log ring@{RING} local0 notice"


def _defaults() -> list[str]:
    return [
        "defaults",
        "log global",
        "load-server-state-from-file global",
        "timeout http-request 10s",
        "retries 3",
        "option redispatch 1",
    ]


def _page(policy: Policy) -> Iterator[list[str]]:
    if policy.haproxy.stats_listen is None:
        return
    yield [
        f"frontend {PAGE}",
        f"bind {policy.haproxy.stats_listen}",
        "mode http",
        "timeout client 10s",
        f"monitor-uri {ALIVE}",
        "http-request use-service prometheus-exporter if { path /metrics }",
        "stats enable",
        "stats uri /",
    ]


def _frontend(service: ServicePolicy) -> list[str]:
    traffic = _traffic(service)
    lines = [
        f"frontend {service.name}",
        f"bind {address(traffic.listen_host, traffic.listen_port)}",
        f"mode {traffic.protocol}",
        f"timeout client {_ms(traffic.client_timeout)}",
    ]
    if service.is_exclusive and traffic.protocol is Protocol.TCP:
        # HAProxy cuts no session whose client has left: one with a hung server would stand, and hold the takeover up.
        lines.append("timeout client-fin 1s")
    if traffic.protocol is Protocol.HTTP:
        lines.append("option forwardfor")
        if traffic.retry:
            lines.append("http-request disable-l7-retry unless METH_GET or METH_HEAD or METH_OPTIONS")
    return [*lines, f"default_backend {service.name}"]


def _backend(policy: Policy, service: ServicePolicy) -> list[str]:
    traffic, probe = _traffic(service), checking.question(service)
    lines = [
        f"backend {service.name}",
        f"mode {traffic.protocol}",
        # `first` rather than `backup`: a request whose server just died is sent on to the next at once.
        f"balance {'first' if service.is_exclusive or is_nearest_first(service) else traffic.balance}",
        f"timeout connect {_ms(traffic.connect_timeout)}",
        f"timeout server {_ms(traffic.server_timeout)}",
        f"timeout check {_ms(probe.timeout if probe else checking.TIMEOUT_DEFAULT)}",
    ]
    if service.is_exclusive and traffic.protocol is Protocol.TCP:
        lines.append("timeout server-fin 1s")  # as of the frontend
    if traffic.protocol is Protocol.HTTP and traffic.retry:
        lines.append("retry-on conn-failure empty-response response-timeout")
    members = [member for member in service.everywhere if member.port is not None]
    lines += checking.check_lines(probe)
    lines.append(_server_defaults(policy, service, probe.fall if probe else checking.FALL_DEFAULT))
    if service.is_exclusive:
        lines += [
            f"use-server {m.name} if {{ str({service.name}),map_str({places.MAP}) -m str {m.name} }}"
            for m in members
        ]
    return lines + [_server(service, member) for member in members]


def _server_defaults(policy: Policy, service: ServicePolicy, fall: int) -> str:
    every = policy.haproxy.check_every
    words = [
        f"default-server check inter {_ms(every)} fastinter {_ms(fast_interval(policy))}",
        f"downinter {_ms(every // 2)} rise {_RISE} fall {fall}",
        "observe layer4 error-limit 3 on-error mark-down",
        "init-addr last,libc,none",  # a name that is not known now must not keep the rest from starting
    ]
    if cuts_when_down(service):
        words.append("on-marked-down shutdown-sessions")
    return " ".join(words)


def _server(service: ServicePolicy, member: MemberPolicy) -> str:
    assert member.port is not None
    weight = [] if service.is_exclusive else [f"weight {member.traffic_weight}"]
    # Nobody is read from before holdfast has said who may be: HAProxy cannot know, after a start as little as ever.
    closed = ["disabled"] if is_reading(service.name) else []
    words = [*weight, *checking.check_words(service, member), *closed]
    return " ".join([f"server {member.name} {address(member.host, member.port)}", *words])


def _traffic(service: ServicePolicy) -> TrafficPolicy:
    assert service.traffic is not None
    return service.traffic


def address(host: str, port: int) -> str:
    """Return `host` and `port` as HAProxy writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ms(duration: Duration) -> str:
    return f"{max(1, -(-duration // MILLISECOND))}ms"  # rounded up: 0 would mean for ever


def _text(sections: list[list[str]]) -> str:
    return "\n".join(
        "".join(("" if i == 0 else "    ") + line + "\n" for i, line in enumerate(s)) for s in sections
    )
