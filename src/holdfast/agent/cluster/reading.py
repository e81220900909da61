"""Telling this host's loop which of its databases may be read from as standbys, apart from how they are otherwise.

Apart, so that a question about age that hangs never delays the one about life.
"""

import asyncio
from collections.abc import Callable

from holdfast.agent import clock
from holdfast.model.events import Event, Probed
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.policy import ProbePolicy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.reading import ReadingCheck, ReadPolicy
from holdfast.model.standing import Role
from holdfast.model.state import ProcessRunning, State
from holdfast.model.time import Instant
from holdfast.model.value import Value
from holdfast.postgresql.books import instance_of
from holdfast.postgresql.reading import Reader

_LOOK_AGAIN_S = 0.1


class _Standby(Value, frozen=True):
    """A standby that is to be asked."""

    id: ComponentId
    incarnation: Incarnation
    server: PostgresServer
    probe: ProbePolicy
    rules: ReadPolicy


class ReadingCare:
    """The standbys of this host that somebody may want to read from."""

    def __init__(self, state: Callable[[], State], put: Callable[[Event], None]) -> None:
        self._state = state
        self._put = put
        self._readers: dict[ComponentId, tuple[Incarnation, PostgresServer, Reader]] = {}
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
                if (
                    probe is None
                    or not isinstance(server, PostgresServer)
                    or component.role is not Role.STANDBY
                ):
                    continue
                if isinstance(component.process, ProcessRunning):
                    found.append(_Standby(id_, component.process.incarnation, server, probe, rules))
        return found

    async def _ask(self, standby: _Standby) -> None:
        now = clock.now()
        if now < self._due.get(standby.id, 0):
            return
        incarnation, server, reader = self._readers.get(standby.id, (None, None, None))
        if reader is None or incarnation != standby.incarnation or server != standby.server:
            reader = Reader(instance_of(standby.id, standby.server))
            self._readers[standby.id] = standby.incarnation, standby.server, reader
        observation = await reader.look(standby.rules, standby.probe.timeout, now)
        is_doubtful = observation is None or observation.detail
        self._due[standby.id] = now + (standby.probe.every_suspect if is_doubtful else standby.probe.every)
        if observation is not None:
            self._put(Probed(standby.id, standby.probe.name, standby.incarnation, observation))
