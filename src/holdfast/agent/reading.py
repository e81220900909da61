"""Telling this host's loop which of its databases may be read from as standbys, apart from how they are otherwise.

Apart, so that a question about age that hangs never delays the one about life.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

from holdfast.agent import clock
from holdfast.agent.looking import Looking
from holdfast.detect.freshness import Freshness, Heard
from holdfast.model.duty import member_policy
from holdfast.model.events import Event, Probed
from holdfast.model.ids import ComponentId, Incarnation, service_of
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
        self._looking = Looking(self._members, self._ask, _LOOK_AGAIN_S)

    async def run(self) -> None:
        """Ask them until cancelled."""
        await self._looking.run()

    def _members(self) -> Iterator[ComponentId]:
        for service in self._state().policy.services.values():
            if service.traffic is not None and service.traffic.read_only is not None:
                yield from service.components

    def _standby(self, id_: ComponentId) -> _Standby | None:
        state, member = self._state(), member_policy(self._state(), id_)
        component, service = state.components.get(id_), state.policy.services.get(service_of(id_))
        rules = service.traffic.read_only if service is not None and service.traffic is not None else None
        if component is None or member is None or rules is None or component.role is not Role.STANDBY:
            return None
        probe, server, process = member.probe_by(ReadingCheck), member.run.managed, component.process
        if probe is None or server is None or not isinstance(process, ProcessRunning):
            return None
        return _Standby(id_, process.incarnation, server, probe, rules)

    async def _ask(self, id_: ComponentId) -> None:
        standby, now = self._standby(id_), clock.now()
        if standby is None:
            self._readers.pop(id_, None)
            return
        probe = standby.probe
        asking = self._hear(id_, standby.server, probe.timeout) if now >= self._due.get(id_, 0) else None
        if asking is None:
            return
        reader = self._readers.get(id_)
        if reader is None or reader.standby != standby:
            reader = self._readers[id_] = Reader(standby)
        observation = reader.judge(await asking, now)
        is_doubtful = observation is None or observation.outcome is Outcome.FAILED
        self._due[id_] = now + (probe.every_suspect if is_doubtful else probe.every)
        if observation is not None:
            self._put(Probed(id_, probe.name, standby.incarnation, observation))
