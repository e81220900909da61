"""What HAProxy says about its servers, parsed strictly: what is not understood is an error, never a guess."""

import csv
import io
from collections.abc import Mapping

from holdfast.model.events import MemberTraffic
from holdfast.model.ids import MemberName, ServiceName
from holdfast.model.routing import Lane, Routing
from holdfast.model.value import Value, replace
from holdfast.ports.traffic import ServiceTraffic
from holdfast.traffic import places
from holdfast.traffic.carrying import is_reading, reading_name
from holdfast.traffic.configuring import named_by
from holdfast.traffic.console import Refused

QUESTIONS = ("show info", "show servers state", "show stat -1 4 -1", f"show map {places.MAP}")

# Bits of srv_admin_state. Several can be set: by command, inherited, by name resolution. That a server begins in maintenance by its
# configuration (0x04) is remembered in a bit that stays when it is ready; what it is then is in the first one.
_MAINTENANCE = 0x01 | 0x02 | 0x20 | 0x40
_DRAIN = 0x08 | 0x10
_STOPPED = "0"  # srv_op_state; 1 starting, 2 running, 3 stopping


class Server(Value, frozen=True):
    """One server of HAProxy's."""

    admin: Lane  # what commands made of it: IN (ready), DRAIN or OUT (maintenance)
    is_up: bool  # what its checks, or a command in their name, made of it
    sessions: int

    @property
    def is_usable(self) -> bool:
        """Tell whether it takes new requests."""
        return self.admin is Lane.IN and self.is_up


class Standing(Value, frozen=True):
    """What one worker of HAProxy says at one moment."""

    pid: int
    is_stopping: bool  # it was replaced by a reload: it says and does what nobody needs any more
    configuration: str  # digest of the configuration that it runs
    servers: dict[ServiceName, dict[MemberName, Server]]
    actives: dict[ServiceName, str]  # the map's words


def parse(answers: list[str]) -> Standing:
    """Return what the answers to QUESTIONS say."""
    info, states, stat, active_map = answers
    facts = dict(line.partition(": ")[::2] for line in info.splitlines())
    try:
        return Standing(
            pid=int(facts["Pid"]),
            is_stopping=facts["Stopping"] != "0",
            configuration=facts.get("description", "").rpartition(" ")[2],
            servers=parse_servers(states, parse_sessions(stat)),
            actives=parse_map(active_map),
        )
    except (KeyError, ValueError) as error:
        raise Refused(f"HAProxy's state is not understood: {error!r}") from error


def parse_servers(
    states: str, sessions: Mapping[tuple[str, str], int]
) -> dict[ServiceName, dict[MemberName, Server]]:
    """Return the servers by backend and name from `show servers state`."""
    servers: dict[ServiceName, dict[MemberName, Server]] = {}
    for row in state_rows(states):
        backend, name = row["be_name"], row["srv_name"]
        bits = int(row["srv_admin_state"])
        admin = Lane.OUT if bits & _MAINTENANCE else Lane.DRAIN if bits & _DRAIN else Lane.IN
        is_up = row["srv_op_state"] != _STOPPED
        servers.setdefault(backend, {})[name] = Server(admin, is_up, sessions.get((backend, name), 0))
    return servers


def state_rows(states: str) -> list[dict[str, str]]:
    """Return the rows of `show servers state`, version 1."""
    lines = states.splitlines()
    if len(lines) < 2 or lines[0].strip() != "1" or not lines[1].startswith("# "):
        raise Refused(f"HAProxy's server states are not understood: {states[:80]!r}")
    keys = lines[1].removeprefix("# ").split()
    return [dict(zip(keys, line.split(), strict=True)) for line in lines[2:] if line]


def parse_sessions(stat: str) -> dict[tuple[str, str], int]:
    """Return the sessions by backend and server from the CSV of `show stat`."""
    if not stat.startswith("# pxname,svname,"):
        raise Refused(f"HAProxy's statistics are not understood: {stat[:80]!r}")
    rows = csv.reader(io.StringIO(stat.removeprefix("# ")))
    column = next(rows).index("scur")
    return {(row[0], row[1]): int(row[column]) for row in rows if row}


def parse_map(text: str) -> dict[str, str]:
    """Return the entries of `show map`; none if the running configuration has no map."""
    if text.startswith("Unknown map identifier"):
        return {}
    entries = [line.split() for line in text.splitlines() if line]
    if any(len(words) != 3 or not words[0].startswith("0x") for words in entries):
        raise Refused(f"HAProxy's map is not understood: {text[:80]!r}")
    return {key: word for _, key, word in entries}


def as_traffic(
    standing: Standing, routed: Mapping[ServiceName, Routing], elsewhere: Mapping[tuple[str, str], int]
) -> tuple[ServiceTraffic, ...]:
    """Return the standing in the port's words.

    A ready server that is not UP was either taken DOWN by us or by HAProxy's checks: the first is its
    lane, the second only `is_up`. What was `routed` tells them apart. `elsewhere`: sessions of its that
    workers from before a reload still have.
    """
    found: dict[ServiceName, ServiceTraffic] = {}
    for service, servers in standing.servers.items():
        lanes = routed[service].lanes if service in routed else {}
        members = {
            name: MemberTraffic(
                lane=_lane(server, lanes.get(name)),
                sessions=server.sessions + elsewhere.get((service, name), 0),
                is_up=server.is_up,
            )
            for name, server in servers.items()
        }
        found[service] = ServiceTraffic(service, named_by(standing.actives.get(service)), members)
    return tuple(_with_readers(seen, found) for name, seen in found.items() if not is_reading(name))


def _with_readers(seen: ServiceTraffic, found: Mapping[ServiceName, ServiceTraffic]) -> ServiceTraffic:
    side = found.get(reading_name(seen.service))
    return replace(seen, readers=side.members) if side is not None else seen


def _lane(server: Server, routed: Lane | None) -> Lane:
    if server.admin is Lane.IN and not server.is_up and routed is Lane.DOWN:
        return Lane.DOWN
    return server.admin
