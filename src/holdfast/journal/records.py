"""What a reader of the journal gets: the model's values, and when that was by the wall clock.

Instants count from a boot and mean nothing after the next one, so each record also carries the wall
clock (nanoseconds since 1970) as it was read when the turn was appended.
"""

from typing import TypeAlias

from holdfast.model.events import Command
from holdfast.model.ids import ServiceName
from holdfast.model.incidents import Incident
from holdfast.model.state import State
from holdfast.model.time import Instant
from holdfast.model.value import Value
from holdfast.ports.journal import Turn

Wall: TypeAlias = int  # nanoseconds since 1970, by a clock that may jump: for rendering and retention only


class TurnRecord(Value, frozen=True):
    """One turn, and when it was."""

    turn: Turn
    wall: Wall
    boot: str  # the kernel's boot id under which `turn.at` counts


class Snapshot(Value, frozen=True):
    """The whole state as it was after turn `sequence`."""

    sequence: int
    at: Instant
    state: State


class IncidentRecord(Value, frozen=True):
    """One incident as last seen, and when it was."""

    incident: Incident
    opened: Wall
    closed: Wall | None

    def wall_of(self, at: Instant) -> Wall:
        """Return when `at`, an instant of this incident, was by the wall clock."""
        return self.opened + at - self.incident.opened_at


class HealthPoint(Value, frozen=True):
    """From `wall` until the next point, health was `value`."""

    wall: Wall
    at: Instant
    service: ServiceName  # "" for the system
    value: float


class AuditRecord(Value, frozen=True):
    """What an operator asked for, and who it was."""

    wall: Wall
    by: str
    command: Command
