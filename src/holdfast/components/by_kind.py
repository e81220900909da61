"""Components of several kinds behind one port: each goes to the adapter of its kind.

The kind is the spec's, but for what runs: who started it has to stop it, even when the file makes something else of it now, or no
longer names it. So an adapter of a kind also tells what it owns; what nobody owns is a process.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from holdfast.components import guarding
from holdfast.guard.facts import Facts
from holdfast.model.events import ProcessSeen
from holdfast.model.ids import ComponentId, Epoch
from holdfast.model.policy import Managed, ProcessSpec
from holdfast.model.time import Instant
from holdfast.ports.components import ComponentListener, Components, Result


class Kind(Components, Protocol):
    """The adapter of one kind of managed components."""

    def owns(self, component: ComponentId) -> bool:
        """Tell whether the component runs in its care, or may."""

    def facts_of(self, component: ComponentId, marks: tuple[str, ...]) -> Facts | None:
        """Return what the guard has to know to end the component, running or about to; None if it is not its own."""


class ComponentsByKind:
    """Every component of this host, whatever it is."""

    def __init__(self, directory: Path, processes: Components, kinds: Mapping[type[Managed], Kind]) -> None:
        self._directory = directory
        self._processes = processes
        self._kinds = dict(kinds)

    def add(self, kind: type[Managed], adapter: Kind) -> None:
        """Have components of one more kind go to `adapter`; before anything is watched."""
        self._kinds[kind] = adapter

    def watch(self, listener: ComponentListener) -> None:
        """Report to `listener` from now on."""
        for adapter in self._all():
            adapter.watch(listener)

    async def close(self) -> None:
        """Let go of everything; what runs goes on."""
        await asyncio.gather(*(adapter.close() for adapter in self._all()))

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return everything that runs. What a kind owns is its to tell: its daemons are no components of their own."""
        kinds = tuple(self._kinds.values())
        processes, *managed = await asyncio.gather(*(each.survey() for each in (self._processes, *kinds)))
        plain = (seen for seen in processes if not any(kind.owns(seen.component) for kind in kinds))
        return (*plain, *(seen for found in managed for seen in found))

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,
        not_after: Instant | None = None,
    ) -> Result:
        """Start the component by the adapter of its spec's kind."""
        adapter = self._of_spec(spec)
        return await adapter.start(component, spec, epoch, is_primary=is_primary, not_after=not_after)

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """Stop the component by whoever has it."""
        return await self._of(component, spec).stop(component, spec, at_once=at_once)

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Promote the component by whoever has it."""
        return await self._of(component, spec).promote(component, spec, epoch)

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Demote the component by whoever has it."""
        return await self._of(component, spec).demote(component, spec)

    def facts_of(self, component: ComponentId) -> Facts | str:
        """Return what the guard has to know of a running component; text instead says why there is nothing."""
        return self._managed_facts(component) or guarding.facts_of(self._directory, component)

    def facts_to_be(self, component: ComponentId) -> Facts:
        """Return what the guard has to know of a component that is about to be started."""
        return self._managed_facts(component) or guarding.facts_to_be(self._directory, component)

    def _managed_facts(self, component: ComponentId) -> Facts | None:
        if not self._kinds:
            return None
        marks = guarding.marks_of(self._directory, component)
        found = (kind.facts_of(component, marks) for kind in self._kinds.values())
        return next((facts for facts in found if facts is not None), None)

    def _of_spec(self, spec: ProcessSpec) -> Components:
        return self._processes if spec.managed is None else self._kinds[type(spec.managed)]

    def _of(self, component: ComponentId, spec: ProcessSpec) -> Components:
        owner = next((kind for kind in self._kinds.values() if kind.owns(component)), None)
        return owner or self._of_spec(spec)

    def _all(self) -> tuple[Components, ...]:
        return (self._processes, *self._kinds.values())
