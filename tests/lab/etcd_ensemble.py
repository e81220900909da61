"""A real etcd ensemble, from Debian's package."""

import json
import ssl
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.ensembles import Ensemble, Member, free_addresses

CLIENT_PORT = 2379
PEER_PORT = 2380
HEARTBEAT_MS = 100
STATUS = "/v3/maintenance/status"
HAND_OVER = "/v3/maintenance/transfer-leadership"
ELECTION_MS = 500  # the shortest lease is 1 s


class EtcdEnsemble(Ensemble):
    """One or several etcd servers. `tls` is how the lab itself asks them, where they want that."""

    scheme = "etcd"

    def __init__(
        self,
        folder: Path,
        members: int,
        settings: Sequence[str] = (),
        *,
        addresses: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        at = list(addresses) or etcd_addresses(members)
        scheme = "http" if tls is None else "https"
        super().__init__(
            [
                _member(folder / f"m{number}", number, at, (scheme, *settings))
                for number in range(1, members + 1)
            ]
        )

    def port(self) -> int:
        return CLIENT_PORT

    def leads(self, member: Member) -> bool:
        status = ask(member, STATUS, {}, self._tls)
        return bool(status) and status.get("leader") == status["header"].get("member_id")

    def hand_over(self, leader: Member, to: Member) -> None:
        with self.inside():
            status = ask(to, STATUS, {}, self._tls)
            if status:
                ask(leader, HAND_OVER, {"targetID": status["header"]["member_id"]}, self._tls)

    def serves(self, member: Member) -> bool:
        # A linearizable read: a majority has confirmed its answer.
        return bool(ask(member, "/v3/kv/range", {"key": "AA=="}, self._tls))


def etcd_addresses(members: int) -> list[str]:
    """Return addresses for so many members."""
    return free_addresses(members, (CLIENT_PORT, PEER_PORT))


def ask(member: Member, path: str, body: dict[str, Any], tls: ssl.SSLContext | None = None) -> dict[str, Any]:
    """Return the member's answer; empty where it has none."""
    scheme = "http" if tls is None else "https"
    request = urllib.request.Request(  # loopback
        f"{scheme}://{member.address}:{CLIENT_PORT}{path}", json.dumps(body).encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=2, context=tls) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


def _member(folder: Path, number: int, addresses: Sequence[str], settings: Sequence[str]) -> Member:
    folder.mkdir(parents=True)
    scheme, *more = settings
    address = addresses[number - 1]
    peers = ",".join(f"m{n}=http://{at}:{PEER_PORT}" for n, at in enumerate(addresses, 1))
    options = {
        "name": f"m{number}",
        "data-dir": str(folder / "data"),
        "listen-client-urls": f"{scheme}://{address}:{CLIENT_PORT}",
        "advertise-client-urls": f"{scheme}://{address}:{CLIENT_PORT}",
        "listen-peer-urls": f"http://{address}:{PEER_PORT}",
        "initial-advertise-peer-urls": f"http://{address}:{PEER_PORT}",
        "initial-cluster": peers,
        "heartbeat-interval": str(HEARTBEAT_MS),
        "election-timeout": str(ELECTION_MS),
    }
    command = ["etcd", *(f"--{name}={value}" for name, value in options.items()), *more]
    return Member(address, command, folder)
