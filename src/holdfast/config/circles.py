"""Circles among services: none of them could ever be the first."""

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from holdfast.model.ids import ServiceName


def circles(needs: Mapping[ServiceName, Iterable[ServiceName]]) -> Iterator[tuple[ServiceName, ...]]:
    """Find circles, each once; take one of its needs away and look again for the next."""
    graph = {
        name: [other for other in others if other in needs and other != name]
        for name, others in needs.items()
    }
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # graphlib lists a circle from what is needed to who needs it, its first name again at the end.
            circle = tuple(reversed(error.args[1][1:]))
            start = min(range(len(circle)), key=lambda i: list(needs).index(circle[i]))
            circle = circle[start:] + circle[:start]
            yield circle
            graph[circle[0]].remove(circle[1 % len(circle)])
        else:
            return


def way(
    needs: Mapping[ServiceName, Iterable[ServiceName]], start: ServiceName, goal: ServiceName
) -> tuple[str, ...]:
    """Return a way from `start` to `goal`, both included; empty if there is none."""
    ways: list[tuple[ServiceName, ...]] = [(start,)]
    seen = {start}
    while ways:
        here = ways.pop(0)
        for other in needs.get(here[-1], ()):
            if other == goal:
                return (*here, other)
            if other not in seen:
                seen.add(other)
                ways.append((*here, other))
    return ()
