"""Which packets do not arrive: partitions as values, and as the rules of nftables that make them so.

Every partition is a set of one-way cuts between pairs of hosts. All of a host's cuts are written as one table that replaces
the former in one transaction, so there is no instant at which half a partition stands.

Packets are dropped where they would arrive, so who sends them learns nothing. ARP passes: a partition that ended has
no neighbour left to find.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import permutations, product
from typing import NamedTuple


class Cut(NamedTuple):
    """Packets of `source` do not arrive at `target`. Two names that are equal: at itself, which only ports make useful."""

    source: str
    target: str
    to_port: int | None = None  # only those, TCP and UDP
    from_port: int | None = None


def between(*sides: Collection[str]) -> set[Cut]:
    """Cut every pair of hosts on two sides, both ways."""
    return {
        Cut(source, target) for one, other in permutations(sides, 2) for source, target in product(one, other)
    }


def one_way(sources: Iterable[str], targets: Iterable[str]) -> set[Cut]:
    """Cut what the first send to the second; what the second send arrives."""
    return {Cut(source, target) for source, target in product(sources, targets) if source != target}


def bridge(middle: str, *sides: Collection[str]) -> set[Cut]:
    """Cut the sides from each other; `middle` sees them all."""
    assert all(middle not in side for side in sides)
    return between(*sides)


def port(number: int, clients: Iterable[str], servers: Collection[str]) -> set[Cut]:
    """Cut these clients from one port of these servers, both ways. A client that is a server too loses its own port."""
    pairs = list(product(clients, servers))
    return {Cut(client, server, to_port=number) for client, server in pairs} | {
        Cut(server, client, from_port=number) for client, server in pairs
    }


def rules(target: str, cuts: Iterable[Cut], addresses: Mapping[str, str]) -> str:
    """Return the input for `nft -f -` that puts these cuts in place of all that stood at `target`."""
    lines = ["table inet lab", "delete table inet lab"]
    arriving = sorted((cut for cut in cuts if cut.target == target), key=str)
    if arriving:
        lines += ["table inet lab {", "chain arriving {", "type filter hook input priority -10;"]
        lines += [_rule(cut, addresses[cut.source]) for cut in arriving]
        lines += ["}", "}"]
    return "\n".join(lines) + "\n"


def _rule(cut: Cut, source: str) -> str:
    words = [f"ip saddr {source}"]
    if cut.to_port is not None:
        words.append(f"th dport {cut.to_port}")
    if cut.from_port is not None:
        words.append(f"th sport {cut.from_port}")
    if len(words) > 1:
        words.insert(1, "meta l4proto { tcp, udp }")
    return f"{' '.join(words)} drop"
