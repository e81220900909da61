"""Between values and the JSON text in the journal's rows.

An unknown tag comes from a journal that a newer holdfast wrote. It is a decoding error here; whoever
reads decides what that means: listing skips the row and counts it, recalling stops before it.
"""

import msgspec

from holdfast.model.decisions import Decision
from holdfast.model.events import Command, Event
from holdfast.model.incidents import Incident
from holdfast.model.state import State

# UnicodeEncodeError: bytes of a damaged row that are no UTF-8 come as lone surrogates.
UNDECODABLE = (msgspec.DecodeError, UnicodeEncodeError)
# Text with lone surrogates, integers over 64 bits: an adapter let something into a value that JSON cannot hold.
UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError)

_encoder = msgspec.json.Encoder()
_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_decisions: msgspec.json.Decoder[tuple[Decision, ...]] = msgspec.json.Decoder(tuple[Decision, ...])
_command: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_state = msgspec.json.Decoder(State)
_incident = msgspec.json.Decoder(Incident)


def encode(value: Event | tuple[Decision, ...] | State | Incident) -> str:
    """Return `value` as JSON. Text rather than bytes, so that SQLite's own shell and JSON functions can read it."""
    return _encoder.encode(value).decode()


def decode_event(text: str) -> Event:
    """Return the event; UNDECODABLE if it is none that we know."""
    return _event.decode(text)


def decode_decisions(text: str) -> tuple[Decision, ...]:
    """Return the decisions; UNDECODABLE if one is none that we know."""
    return _decisions.decode(text)


def decode_command(text: str) -> Command:
    """Return the operator's command; UNDECODABLE if it is none that we know."""
    return _command.decode(text)


def decode_state(text: str) -> State:
    """Return the state; UNDECODABLE if it does not have the shape of ours."""
    return _state.decode(text)


def decode_incident(text: str) -> Incident:
    """Return the incident; UNDECODABLE if it does not have the shape of ours."""
    return _incident.decode(text)
