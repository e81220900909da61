"""Who had a service's address when: the kernel's own word, from each host, on one clock."""

import time
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.lab.network import Host

_LAST_WORDS_S = 0.2


class Held(NamedTuple):
    """A time in which a host had the address, in seconds of the machine's wall clock, which all namespaces share."""

    host: str
    since: float
    until: float


class AddressWatch:
    """Listens, on every host, to the kernel telling of addresses that come and go."""

    def __init__(self, hosts: tuple[Host, ...], address: str, folder: Path) -> None:
        self._address = address
        self._logs = {host.name: folder / f"addresses-{host.name}.log" for host in hosts}
        command = ("stdbuf", "-oL", "ip", "-ts", "-o", "monitor", "address")
        self._listeners = [host.start(command, self._logs[host.name]) for host in hosts]

    def now_on(self) -> str | None:
        """Return the host that has it now; None if none has."""
        return next((held.host for held in self.held() if held.until == float("inf")), None)

    def held(self) -> list[Held]:
        """Return who had it when, in the order in which they got it."""
        found = []
        for host, log in self._logs.items():
            since = None
            for line in log.read_text("utf-8").splitlines():
                if f" {self._address}/" not in line:
                    continue
                at = _instant(line)
                if "Deleted" not in line:
                    since = at if since is None else since
                elif since is not None:
                    found.append(Held(host, since, at))
                    since = None
            if since is not None:
                found.append(Held(host, since, float("inf")))
        return sorted(found, key=lambda held: held.since)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        time.sleep(_LAST_WORDS_S)
        for listener in self._listeners:
            listener.kill()
            listener.wait()


def overlaps(held: list[Held]) -> list[tuple[Held, Held]]:
    """Return where two hosts had it at one time."""
    return [(a, b) for a, b in pairwise(held) if b.since < a.until]


def gaps(held: list[Held]) -> list[float]:
    """Return for how long no host had it, each time that it moved, in seconds."""
    return [b.since - a.until for a, b in pairwise(held)]


def _instant(line: str) -> float:
    # [2026-11-25T14:50:31.123456] ...
    text = line[1 : line.index("]")]
    whole, _, fraction = text.partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")
