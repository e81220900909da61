"""The heartbeat transport: one UDP socket per agent, each beat in a letter of its own to each peer.

The report of a host is the one part of a beat that may be long. Whoever acknowledged it is not sent it again if that would
make more than one packet of the letter; who did not gets it whole, in fragments. A peer that is silent is offered it
rarely, or a dead host would be sent megabytes.

Nothing here raises for what the network does: it is counted, and said now and then.
"""

import asyncio
import errno
from collections.abc import Callable, Mapping

from holdfast.beating import believing, letters, sealing
from holdfast.beating.addresses import Addresses, Where
from holdfast.beating.believing import Belief, Sent
from holdfast.beating.ear import Ear, now
from holdfast.beating.letters import Letter, Ours
from holdfast.beating.refusing import Complaints, Refusal
from holdfast.beating.sealing import Seal
from holdfast.model.beats import Beat
from holdfast.model.ids import HostName
from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import replace

LETTER_SHORT = 1_200  # bytes: surely one packet on any network
LETTER_MAX = 60_000  # bytes: an UDP datagram takes 65,507
OFFER_EVERY = 10  # beats: how often a silent peer is offered a long report
RECENT: Duration = SECOND
READ_MAX = 1_024  # packets at once: a flood must not keep the loop from everything else

OnBeat = Callable[[Beat, Instant], None]  # a beat that is believed, and when it came


class Beating:
    """Sends our beats to the peers, and hears theirs."""

    def __init__(
        self, ours: Ours, ear: Ear, secret: bytes, on_beat: OnBeat, say: Callable[[str], None] | None
    ) -> None:
        """Use `open`."""
        self._ours = ours
        self._ear = ear
        self._seal = Seal(secret)
        self._on_beat = on_beat
        self._complaints = Complaints(say)
        self._addresses = Addresses(ear.socket.family)
        self._beliefs: dict[HostName, Belief] = {}
        self._acknowledged: dict[HostName, int] = {}  # number of the newest report of ours that the peer has
        self._sent = Sent()

    @classmethod
    async def open(
        cls,
        ours: Ours,
        bind: Where,
        peers: Mapping[HostName, Where],
        *,
        secret: bytes,
        on_beat: OnBeat,
        say: Callable[[str], None] | None = None,
    ) -> "Beating":
        """Listen on `bind`, a numeric address and a port (0: any). `say` gets lines for the log, rarely.

        Raises OSError if the address is not ours or the port is taken.
        """
        beating = cls(ours, Ear(*bind), secret, on_beat, say)
        beating.set_peers(peers)
        asyncio.get_running_loop().add_reader(beating._ear.socket, beating.drain)
        return beating

    @property
    def port(self) -> int:
        """Return the port that we listen on."""
        port: int = self._ear.socket.getsockname()[1]
        return port

    @property
    def counts(self) -> dict[str, int]:
        """Return how many packets were refused, by `Refusal`, and how many could not be sent, by error."""
        return dict(self._complaints.counts)

    def set_peers(self, peers: Mapping[HostName, Where]) -> None:
        """Speak with these hosts from now on, and with no others. Names are looked up beside the beating."""
        others = {host: where for host, where in peers.items() if host != self._ours.host}
        self._beliefs = {host: self._beliefs.get(host, Belief()) for host in others}
        self._acknowledged = {host: number for host, number in self._acknowledged.items() if host in others}
        self._addresses.set(others)

    async def close(self) -> None:
        """Hear and say nothing more. May be called again."""
        if self._ear.socket.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._ear.socket)
        await self._addresses.close()
        self._ear.close()

    # --- hearing --------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Read everything that came, now: to be called before anybody is judged by what did not come."""
        for packet, at, source in self._ear.packets(READ_MAX):
            match self._opened(packet):
                case Letter() as letter:
                    self._hear(letter, at)
                case why:
                    self._complaints.refused(why, source, at)

    def _opened(self, packet: memoryview) -> Letter | Refusal:
        if not sealing.is_of_our_protocol(packet):
            return Refusal.FOREIGN
        payload = self._seal.opened(packet)
        if payload is None:
            return Refusal.BAD_SEAL
        letter = letters.read(payload)
        if letter is None:
            return Refusal.MALFORMED
        if letter.system != self._ours.system:
            return Refusal.OTHER_SYSTEM
        if letter.to != self._ours.host:
            return Refusal.MISDIRECTED
        if letter.beat.host not in self._beliefs:
            return Refusal.STRANGER
        return letter

    def _hear(self, letter: Letter, at: Instant) -> None:
        beat = letter.beat
        belief, refusal = believing.judge(self._beliefs[beat.host], letter, at, self._ours.life, self._sent)
        self._beliefs[beat.host] = belief
        if refusal is not None:
            self._complaints.refused(refusal, beat.host, at)
            return
        acknowledged = beat.heard.get(self._ours.host)
        is_of_this_life = acknowledged is not None and acknowledged.life == self._ours.life
        self._acknowledged[beat.host] = acknowledged.report if acknowledged and is_of_this_life else 0
        self._on_beat(beat, at)

    # --- speaking -------------------------------------------------------------------------------------

    def send(self, beat: Beat) -> None:
        """Send the beat to all peers. Its sequence has grown since the last one."""
        bodies = _Bodies(beat)
        for host in self._beliefs:
            self._send(bodies, host)

    def send_to(self, host: HostName, beat: Beat) -> None:
        """Send the beat to one peer."""
        if host in self._beliefs:
            self._send(_Bodies(beat), host)

    def _send(self, bodies: "_Bodies", host: HostName) -> None:
        beat = bodies.beat
        assert (beat.host, beat.life) == (self._ours.host, self._ours.life)
        at = now()
        self._sent.note(beat.sequence, at)
        address = self._addresses.of(host)
        if address is None:
            self._complaints.add("no address", f"no heartbeats to {host}: its address is not known", at)
            return
        body = bodies.whole if self._gets_all(bodies, host, at) else bodies.lean
        letter = letters.write(self._ours.system, host, self._beliefs[host].echoes(at), body)
        try:
            self._ear.socket.sendto(self._seal.sealed(letter), address)
        except OSError as error:  # no route, a firewall, a full buffer: the next beat is the next try
            name = errno.errorcode.get(error.errno or 0, "error")
            self._complaints.add(f"unsent {name}", f"no heartbeats to {host}: {error.strerror}", at)

    def _gets_all(self, bodies: "_Bodies", host: HostName, at: Instant) -> bool:
        """Tell whether the peer is to get the report too."""
        beat = bodies.beat
        if beat.report is None or len(bodies.whole) <= LETTER_SHORT:
            return True
        if len(bodies.whole) > LETTER_MAX:
            self._complaints.add("too long", "the report of this host is too long for heartbeats", at)
            return False
        if self._acknowledged.get(host, 0) >= beat.report_number:
            return False
        is_listening = at - self._beliefs[host].believed.at < RECENT
        return is_listening or beat.sequence % OFFER_EVERY == 0


class _Bodies:
    """A beat as it is written, with its report and without."""

    def __init__(self, beat: Beat) -> None:
        self.beat = beat
        self.whole = letters.write_beat(beat)
        self._lean: bytes | None = None

    @property
    def lean(self) -> bytes:
        if self._lean is None:
            self._lean = letters.write_beat(replace(self.beat, report=None))
        return self._lean
