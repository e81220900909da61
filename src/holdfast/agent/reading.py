"""Telling this host's loop which of its databases may be read from as standbys, apart from how they are otherwise.

Apart, so that a question about age that hangs never delays the one about life.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from holdfast.agent import clock
from holdfast.detect.freshness import Freshness, Heard
from holdfast.model.events import Event, Probed
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import Managed, ProbePolicy
from holdfast.model.reading import ReadingCheck, ReadPolicy
from holdfast.model.standing import Role
from holdfast.model.state import ProcessRunning, State
from holdfast.model.time import Duration, Instant
from holdfast.model.value import Value

# Ask a standby what it knows of its primary; a text says why it does not answer, None that it is another's to ask.
Hear: TypeAlias = Callable[[ComponentId, Managed, Duration], Awaitable[Heard | str] | None]

_LOOK_AGAIN_S = 0.1


class _Standby(Value, frozen=True):
    """A standby that is to be asked."""

    id: ComponentId
    incarnation: Incarnation
    server: Managed
    probe: ProbePolicy
    rules: ReadPolicy


class Reader:
    """What was learnt of one life of one standby."""

    def __init__(self, standby: _Standby) -> None:
        self.standby = standby
        self._freshness = Freshness()
        self._began: Instant = 0
        self._is_fine = True

    def judge(self, heard: Heard | str, now: Instant) -> Observation | None:
        """Return whether it may be read from, by what was asked at `now`; None: it was not heard for long enough to know."""
        self._began = self._began or now
        if isinstance(heard, str):
            why = heard
        else:
            rules = self.standby.rules
            self._freshness = self._freshness.after(heard, now)
            if not self._freshness.heard_at and now - self._began < rules.delay_max:
                return None
            why = self._freshness.why_stale(rules, now, was_fine=self._is_fine)
        self._is_fine = not why
        if why:
            return Observation(Outcome.FAILED, Layer.CONTENT, Failure.STATUS, clock.now() - now, now, why)
        return Observation(Outcome.PASSED, Layer.CONTENT, Failure.NONE, clock.now() - now, now)


class ReadingCare:
    """The standbys of this host that somebody may want to read from."""

    def __init__(self, state: Callable[[], State], put: Callable[[Event], None], hear: Hear) -> None:
        self._state = state
        self._put = put
        self._hear = hear
        self._readers: dict[ComponentId, Reader] = {}
        self._due: dict[ComponentId, Instant] = {}

    async def run(self) -> None:
        """Ask them until cancelled."""
        while True:
            standbys = self._standbys()
            for gone in self._readers.keys() - {each.id for each in standbys}:
                del self._readers[gone]
            await asyncio.gather(*(self._ask(each) for each in standbys))
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _standbys(self) -> list[_Standby]:
        state, found = self._state(), []
        for service in state.policy.services.values():
            rules = service.traffic.read_only if service.traffic is not None else None
            if rules is None:
                continue
            for id_, member in zip(service.components, service.members, strict=True):
                component, server = state.components[id_], member.run.managed
                probe = next((one for one in member.probes if isinstance(one.check, ReadingCheck)), None)
                if probe is None or server is None or component.role is not Role.STANDBY:
                    continue
                if isinstance(component.process, ProcessRunning):
                    found.append(_Standby(id_, component.process.incarnation, server, probe, rules))
        return found

    async def _ask(self, standby: _Standby) -> None:
        now, probe = clock.now(), standby.probe
        asking = (
            self._hear(standby.id, standby.server, probe.timeout)
            if now >= self._due.get(standby.id, 0)
            else None
        )
        if asking is None:
            return
        reader = self._readers.get(standby.id)
        if reader is None or reader.standby != standby:
            reader = self._readers[standby.id] = Reader(standby)
        observation = reader.judge(await asking, now)
        is_doubtful = observation is None or observation.outcome is Outcome.FAILED
        self._due[standby.id] = now + (probe.every_suspect if is_doubtful else probe.every)
        if observation is not None:
            self._put(Probed(standby.id, probe.name, standby.incarnation, observation))
