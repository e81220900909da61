"""The care for servers whose program we know: each is looked at as often as its probe says, and at once when it has to act.

What is the same for all kinds of servers stands here. A kind says what it keeps of a server that runs, and what one at rest tells.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from holdfast.agent import clock
from holdfast.agent.looking import Looking
from holdfast.model.cluster import MemberReport
from holdfast.model.duty import is_ended_by_us, member_policy
from holdfast.model.events import Event, Probed
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.policy import MemberPolicy, ProbePolicy
from holdfast.model.sight import Sight
from holdfast.model.state import ComponentState, ProcessRunning, State
from holdfast.model.time import Instant


class Keeper(Protocol):
    """What is kept of a server for as long as it runs."""

    @property
    def server(self) -> Any:  # noqa: ANN401 - each kind has its own
        """As what it was told to run."""


Server = TypeVar("Server")
Kept = TypeVar("Kept", bound=Keeper)
Seen = TypeVar("Seen", bound=Sight)
Cue = TypeVar("Cue")


class ServerCare(ABC, Generic[Server, Kept, Seen, Cue]):
    """The servers of one kind on this host."""

    kinds: tuple[type[Server], type]  # of the server, and of the check that its probe names

    def __init__(
        self, state: Callable[[], State], put: Callable[[Event], None], refresh: Callable[[], None]
    ) -> None:
        """`refresh`: what the members' reports are supplemented with has changed."""
        self._state = state
        self._put = put
        self._refresh = refresh
        self._keepers: dict[ComponentId, tuple[Incarnation, Kept]] = {}
        self._due: dict[ComponentId, tuple[Instant, Cue]] = {}
        self._sights: dict[ComponentId, Seen] = {}
        self._looking = Looking(self._members, self._care)

    def wake(self) -> None:
        """Look at once at whoever has to act: somebody else may hold a lease."""
        self._looking.wake()

    def supplemented(self, reports: dict[ComponentId, MemberReport]) -> dict[ComponentId, MemberReport]:
        """Return the reports of this host's members with what is known of their data."""
        return reports | {
            id_: sight.added_to(reports[id_]) for id_, sight in self._sights.items() if id_ in reports
        }

    async def run(self) -> None:
        """Care for them until cancelled."""
        await self._looking.run()

    # --- what a kind says -----------------------------------------------------------------------------

    @abstractmethod
    def _cue(self, component: ComponentState) -> Cue:
        """Return what the server is looked at for anew when it changes."""

    @abstractmethod
    def _begin(self, component: ComponentState, server: Server, process: ProcessRunning) -> Kept:
        """Return the keeper of a server that is met in this life, or with these settings, for the first time."""

    @abstractmethod
    async def _look(
        self, component: ComponentState, keeper: Kept, probe: ProbePolicy, cue: Cue
    ) -> Seen | None:
        """Return how it is. None: it is to be looked at anew, at once."""

    @abstractmethod
    async def _rest(self, component: ComponentState, server: Server, cue: Cue) -> None:
        """See one that does not run."""

    @abstractmethod
    def _is_doubtful(self, component: ComponentState, sight: Seen, cue: Cue) -> bool:
        """Tell whether it is to be looked at again soon."""

    # --- what is the same for all ---------------------------------------------------------------------

    def _members(self) -> Iterator[ComponentId]:
        for service in self._state().policy.services.values():
            for id_, member in zip(service.components, service.members, strict=True):
                if self._kind_of(member) is not None:
                    yield id_

    def _kind_of(self, member: MemberPolicy) -> tuple[Server, ProbePolicy] | None:
        of_server, of_check = self.kinds
        server, probe = member.run.managed, member.probe_by(of_check)
        return (server, probe) if isinstance(server, of_server) and probe is not None else None

    async def _care(self, id_: ComponentId) -> None:
        component, member = self._state().components.get(id_), member_policy(self._state(), id_)
        found = self._kind_of(member) if member is not None else None
        if component is None or found is None:
            return
        (server, probe), process, now = found, component.process, clock.now()
        cue = self._cue(component)
        if not isinstance(process, ProcessRunning):
            self._keepers.pop(id_, None)
            await self._rest(component, server, cue)
            return
        due, last_cue = self._due.get(id_, (0, None))
        if now < due and cue == last_cue and id_ in self._keepers:
            return
        incarnation, keeper = self._keepers.get(id_, (None, None))
        if keeper is None or incarnation != process.incarnation or keeper.server != server:
            keeper = self._begin(component, server, process)
            self._keepers[id_] = process.incarnation, keeper
        sight = await self._look(component, keeper, probe, cue)
        if sight is None:
            return
        is_soon = self._is_doubtful(component, sight, cue)
        self._due[id_] = now + (probe.every_suspect if is_soon else probe.every), cue
        if self._is_as_it_was(component, process):
            self._put(Probed(id_, probe.name, process.incarnation, sight.observed(now, clock.now())))
            self._see(id_, sight)

    def _is_as_it_was(self, before: ComponentState, process: ProcessRunning) -> bool:
        """Tell whether what was seen is of interest still: it lives that life, in that role, and we do not end it."""
        found = self._state().components.get(before.id)
        return (
            found is not None
            and (found.role, found.epoch) == (before.role, before.epoch)
            and isinstance(found.process, ProcessRunning)
            and found.process.incarnation == process.incarnation
            and not is_ended_by_us(self._state(), found)
        )

    def _see(self, id_: ComponentId, sight: Seen | None) -> None:
        """Keep what was seen; None: nothing is known of it any more."""
        told = sight.unobserved() if sight is not None else None
        if self._sights.get(id_) == told:
            return
        if told is None:
            del self._sights[id_]
        else:
            self._sights[id_] = told
        self._refresh()
