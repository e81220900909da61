"""The network between hosts, and between each host and the coordinator: links that are cut, lose and delay, each way by itself."""

from collections import Counter
from collections.abc import Callable

from holdfast.model.ids import HostName
from holdfast.model.time import MILLISECOND, Duration, Instant
from holdfast.sim.chance import Chance
from holdfast.sim.clockwork import Clockwork

STORE: HostName = ":store"  # the place of the coordinator in the network

_LOST = 0.3  # of what a bad link carries

Link = tuple[HostName, HostName]  # from, to


class Network:
    """All links."""

    def __init__(self, world: Clockwork, chance: Chance) -> None:
        self._world = world
        self._chance = chance
        self._cut: Counter[Link] = Counter()
        self._mended_at: dict[Link, Instant] = {}
        self._slow: Counter[Link] = Counter()
        self._loss: Counter[HostName] = Counter()
        self._bettered_at: dict[HostName, Instant] = {}

    def cut(self, *links: Link) -> None:
        """Let nothing pass these links."""
        self._cut.update(links)

    def mend(self, *links: Link) -> None:
        """Take one such cut back."""
        self._cut.subtract(links)
        for link in links:
            self._mended_at[link] = self._world.now

    def lose(self, host: HostName, more: int) -> None:
        """Have what the host sends and gets be lost more often, or take that back."""
        self._loss[host] += more
        self._bettered_at[host] = self._world.now

    def slow(self, links: tuple[Link, ...], more: int) -> None:
        """Have what passes these links come late, or take that back."""
        for link in links:
            self._slow[link] += more
            self._bettered_at[link[0]] = self._bettered_at[link[1]] = self._world.now

    def was_whole(self, link: Link, since: Instant) -> bool:
        """Tell whether the link has let everything pass since then."""
        is_open = self.is_open(link) and self._mended_at.get(link, 0) < since
        return is_open and self._bad_until(link) < since

    def _bad_until(self, link: Link) -> Instant:
        return max(self._now_if_bad(end) for end in link)

    def _now_if_bad(self, host: HostName) -> Instant:
        is_bad = self._loss[host] or any(self._slow[link] for link in self._slow if host in link)
        return self._world.now if is_bad else self._bettered_at.get(host, 0)

    def send(self, link: Link, arrive: Callable[[], None], *, is_stream: bool = False) -> None:
        """Have `arrive` called at the other end, if it gets there. What a stream loses it sends again."""
        if not self.is_open(link) or (not is_stream and self._has_loss(link) and self._chance.often(_LOST)):
            return
        self._world.after(self.delay(link, is_stream=is_stream), arrive)

    def is_open(self, link: Link) -> bool:
        """Tell whether anything passes."""
        return not self._cut.get(link)

    def delay(self, link: Link, *, is_stream: bool = True) -> Duration:
        """Return how long what is sent now takes."""
        delay = self._chance.between(MILLISECOND // 5, 3 * MILLISECOND) + self._extra(link)
        if is_stream and self._has_loss(link) and self._chance.often(_LOST):
            delay += self._chance.between(50 * MILLISECOND, 400 * MILLISECOND)
        return delay

    def later(self, delay: Duration, call: Callable[[], None]) -> None:
        """Have `call` called after `delay`: what is held up somewhere on the way."""
        self._world.after(delay, call)

    def _has_loss(self, link: Link) -> bool:
        return bool(self._loss) and (self._loss.get(link[0], 0) > 0 or self._loss.get(link[1], 0) > 0)

    def _extra(self, link: Link) -> Duration:
        if not self._slow.get(link):
            return 0
        return self._chance.between(150 * MILLISECOND, 430 * MILLISECOND) if self._chance.often(0.6) else 0
