"""Asking components how they are.

Contract: every probe that was set is asked about every `every` (jittered, spread from the start);
while its last answer contradicts its verdict it is asked every `every_suspect`; each question ends by its
timeout; an observation that was late because *we* were late is UNKNOWN, not FAILED.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Observation
from holdfast.model.policy import ProbePolicy

Report: TypeAlias = Callable[[ComponentId, str, Incarnation, Observation], None]  # on the event loop's thread


class Probing(Protocol):
    """The probes of this host."""

    def watch(self, report: Report) -> None:
        """Report every observation to `report` from now on."""

    def set(self, component: ComponentId, incarnation: Incarnation, probes: tuple[ProbePolicy, ...]) -> None:
        """Ask these probes about this life of the component; replaces what was asked before."""

    def clear(self, component: ComponentId) -> None:
        """Ask nothing about the component any more."""

    def hurry(self, component: ComponentId, probe: str, *, is_suspect: bool) -> None:
        """Ask at `every_suspect` while `is_suspect`, at `every` otherwise."""

    async def close(self) -> None:
        """Stop asking."""
