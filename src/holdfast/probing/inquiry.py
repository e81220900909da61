"""One probe of one life of one component: what the engine knows while it keeps asking."""

import random
import ssl
from collections.abc import Callable
from typing import Protocol

from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.policy import ExecCheck, HttpCheck, ProbePolicy, TcpCheck
from holdfast.model.postgresql import PostgresCheck
from holdfast.model.reading import ReadingCheck
from holdfast.model.redis import RedisCheck
from holdfast.model.time import Instant
from holdfast.probing.addresses import Address, Addresses, literal
from holdfast.probing.dialogue import Banner
from holdfast.probing.http_exchange import HttpExchange
from holdfast.probing.knocking import Knock
from holdfast.probing.pacing import Pace
from holdfast.probing.plug import Plug, Poller
from holdfast.probing.silence import Silence
from holdfast.probing.talking import Talk
from holdfast.probing.verdict import Verdict


class Asker(Protocol):
    """Asks one target over a socket, one question at a time."""

    def ask(self, address: Address) -> Verdict | None:
        """Begin; return a verdict if there is one already."""

    def ready(self, events: int) -> Verdict | None:
        """Look at what the epoll said."""

    def expire(self, now: Instant) -> Verdict:
        """Return what it means that there was no verdict in time."""

    def close(self) -> None:
        """Let go of the socket."""


class Inquiry:
    """A probe being asked."""

    __slots__ = (
        "addresses",
        "asked_at",
        "asker",
        "component",
        "incarnation",
        "is_closed",
        "is_pending",
        "pace",
        "policy",
        "refusal",
        "stalled_before",
        "tried",
        "unnamed_since",
        "wake_tick",
    )

    def __init__(
        self, component: ComponentId, incarnation: Incarnation, policy: ProbePolicy, chance: random.Random
    ) -> None:
        self.component = component
        self.incarnation = incarnation
        self.policy = policy
        self.pace = Pace(policy, chance)
        self.asker: Asker | None = None  # None: a program
        self.addresses: Addresses = ()
        self.wake_tick = -1  # the one wake-up that counts; any other in the wheel is stale
        self.is_pending = False  # asked, and not answered yet
        self.asked_at: Instant = 0
        self.stalled_before = 0  # how late the engine had been in its life when it asked
        self.tried = 0  # addresses of a name that refused
        self.refusal: Verdict | None = None  # of the first of them
        self.unnamed_since: Instant | None = None  # waits for the resolver
        self.is_closed = False

    @property
    def target(self) -> tuple[str, int]:
        """Return the host and port that is asked; a program has none."""
        check = self.policy.check
        assert not isinstance(check, ExecCheck | PostgresCheck | RedisCheck | ReadingCheck)
        return check.host, check.port

    def close(self) -> None:
        """Stop asking: nothing is reported any more."""
        self.is_closed = True
        self.wake_tick = -1
        if self.asker is not None:
            self.asker.close()


def equip(
    inquiry: Inquiry,
    poller: Poller[Inquiry],
    silence: Silence,
    tls: Callable[[bool], ssl.SSLContext],
    *,
    fresh_every: int,
) -> None:
    """Give the inquiry what its check needs to be asked over a socket; a program needs nothing."""
    check, timeout = inquiry.policy.check, inquiry.policy.timeout
    match check:
        case ExecCheck() | PostgresCheck() | RedisCheck() | ReadingCheck():
            return
        case TcpCheck(send="", expect=""):
            inquiry.asker = Knock(Plug(poller, inquiry, is_quiet=True), silence, timeout)
        case TcpCheck():
            inquiry.asker = Talk(Plug(poller, inquiry, is_quiet=False), Banner(check), silence, timeout)
        case HttpCheck():
            talk = Talk(Plug(poller, inquiry, is_quiet=False), HttpExchange(check), silence, timeout)
            talk.keep(fresh_every)
            if check.tls:
                talk.secure(tls(check.tls_verify), check.host)
            inquiry.asker = talk
    inquiry.addresses = literal(*inquiry.target)
