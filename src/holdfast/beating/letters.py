"""Letters: one beat to one host, with what its transport has to say to the other transport.

A letter echoes what came from its addressee last. That is the proof of freshness (see believing.py), and it is kept apart
from `Beat.heard` on purpose: we echo also whom we do not believe yet, or two hosts that start together would wait for
each other forever; but what we tell third hosts of somebody has to be believed first.
"""

import msgspec

from holdfast.model.beats import Beat
from holdfast.model.ids import HostName, LifeId
from holdfast.model.time import Duration
from holdfast.model.value import Value


class Ours(Value, frozen=True):
    """Who we are."""

    system: str  # hosts of another system are not heard, even with the same secret
    host: HostName
    life: LifeId


class Echo(msgspec.Struct, frozen=True, array_like=True):
    """The newest beat that came from one life of the addressee."""

    life: LifeId
    sequence: int
    ago: Duration  # how long before this letter was sent


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """What one packet carries."""

    system: str
    to: HostName
    echoes: tuple[Echo, ...]  # of the life that we believe in, and of one that we may yet
    beat: Beat


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A letter whose beat is written already: it is the same for all addressees."""

    system: str
    to: HostName
    echoes: tuple[Echo, ...]
    beat: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Letter)


def write_beat(beat: Beat) -> bytes:
    """Return the beat as it is put into letters."""
    return _encoder.encode(beat)


def write(system: str, to: HostName, echoes: tuple[Echo, ...], beat: bytes) -> bytes:
    """Return the letter around a written beat."""
    return _encoder.encode(_Envelope(system, to, echoes, msgspec.Raw(beat)))


def read(payload: memoryview) -> Letter | None:
    """Return the letter; None if it is none, or one that nobody of our version writes."""
    try:
        letter = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    is_sane = letter.beat.sequence > 0 and all(echo.ago >= 0 for echo in letter.echoes)
    return letter if is_sane else None
