"""Which packets do not arrive: partitions as values, and as the rules of nftables that make them so.

Every partition is a set of one-way cuts between pairs of hosts. The bridge drops what they name, by the cables it came from and
would go to: so a cut holds for whatever address a host has or takes, for ARP and for multicast, and who sends learns nothing. All cuts
of all hosts are one table that replaces the former in one transaction: there is no instant at which half a partition stands.

Where only one way is cut, ARP passes: a host that is heard has to find whom it talks to.
"""

from collections.abc import Collection, Iterable
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


def at_bridge(cuts: Collection[Cut], hub: str) -> str:
    """Return the input for `nft -f -` that puts these cuts in place of all that stood at the bridge."""
    chains: dict[str, list[str]] = {"forward": [], "input": [], "output": []}
    for cut in sorted(set(cuts), key=str):
        if cut.source == cut.target:
            continue
        came = "" if cut.source == hub else f'iifname "{cut.source}" '
        goes = "" if cut.target == hub else f'oifname "{cut.target}" '
        chain = "output" if not came else "input" if not goes else "forward"
        is_both_ways = cut._replace(source=cut.target, target=cut.source) in cuts
        if cut.to_port is not None or cut.from_port is not None:
            what = f"ether type ip {_ports(cut)} "
        else:
            what = "" if is_both_ways else "ether type != arp "
        chains[chain].append(f"{came}{goes}{what}drop")
    return _table("bridge", chains)


def at_host(cuts: Iterable[Cut], host: str) -> str:
    """Return the input that puts those cuts in place which part a host from its own ports: they never see the bridge."""
    own = sorted((cut for cut in cuts if cut.source == cut.target == host), key=str)
    return _table("inet", {"input": [f'iifname "lo" {_ports(cut)} drop' for cut in own]})


def _table(family: str, chains: dict[str, list[str]]) -> str:
    lines = [f"table {family} lab", f"delete table {family} lab", f"table {family} lab {{"]
    for hook, rules in chains.items():
        lines += [f"chain {hook} {{", f"type filter hook {hook} priority -10;", *rules, "}"]
    return "\n".join([*lines, "}"]) + "\n"


def _ports(cut: Cut) -> str:
    words = ["meta l4proto { tcp, udp }"]
    if cut.to_port is not None:
        words.append(f"th dport {cut.to_port}")
    if cut.from_port is not None:
        words.append(f"th sport {cut.from_port}")
    return " ".join(words)
