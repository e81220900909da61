"""One component that a resource agent looks after: what it is, what is known of it, and its actions one at a time.

A notice is an action too, and comes between others. It gives way: a member that is to be promoted, demoted or stopped does not wait
for what it is told about another, which may hang, such as in waiting for a primary that is gone.
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from holdfast.components import output
from holdfast.components.environment import Refused, read_secrets
from holdfast.components.marking import Mark
from holdfast.components.records import Folder
from holdfast.config.resource_agents import path_of
from holdfast.model.digests import run_digest
from holdfast.model.ids import ComponentId
from holdfast.model.policy import OcfAgent, ProcessSpec, SecretFrom
from holdfast.model.time import Duration, Instant
from holdfast.model.value import replace
from holdfast.ocf import records, variables
from holdfast.ocf.attributes import PROMOTED, UNPROMOTED, Attributes
from holdfast.ocf.following import Following
from holdfast.ocf.outcomes import Outcome
from holdfast.ocf.records import OcfRecord
from holdfast.ocf.running import HOOK, Running
from holdfast.ocf.variables import Notice, Whereabouts

_URGENT = frozenset({"promote", "demote", "stop"})
_UNRECORDED = "the state of the component cannot be written to {path}: {why}"


class Resource:
    """One component. Whoever calls an action holds `turn`: agents expect one action at a time."""

    def __init__(
        self,
        component: ComponentId,
        record: OcfRecord,
        where: Whereabouts,
        running: Running,
        attributes: Attributes,
    ) -> None:
        self.component = component
        self.record = record
        self.where = where
        self.turn = asyncio.Lock()
        self.wanted_now = asyncio.Event()  # a look that does not wait for its time
        self.following = Following(self.wanted_now.set)
        self._acting = asyncio.Lock()  # one action, a notice included; whoever holds `turn` does several
        self._notices: set[asyncio.Task[Outcome]] = set()  # that it is being told, or waits for
        self.seen: Outcome | None = None  # the newest monitor; None: not asked in this life
        self._was_promoted = False  # by the newest monitor that could tell
        self.adopted = False
        self.is_reported_gone = False  # the listener knows that this life is over
        self.tell_peers: Callable[[], None] = lambda: (
            None
        )  # what agents may ask about their peers is written down
        self._running = running
        self._attributes = attributes

    @property
    def agent(self) -> OcfAgent:
        """Return the agent and its parameters, as they were when this life was started."""
        return self.record.agent

    @property
    def folder(self) -> Folder:
        """Return where its files are."""
        return self._running.folder(self.component)

    @property
    def is_live(self) -> bool:
        """Tell whether it runs, as far as is known."""
        return self.record.is_begun and not self.is_reported_gone

    @property
    def is_primary(self) -> bool:
        """Tell whether it serves as primary: by the monitor where roles are the agent's own, else as we gave them."""
        if self.agent.is_promotable and self.seen is not None:
            return self.seen.is_promoted
        return self.record.is_primary

    @property
    def may_be_primary(self) -> bool:
        """Tell whether it may serve as primary: a monitor that failed, or hung, does not prove that it does not."""
        if self.seen is None or _tells_role(self.seen):
            return self.is_primary
        return self.record.is_primary or self._was_promoted

    @property
    def role(self) -> str:
        """Return its role in the words of agents; empty: it does not run."""
        if not self.record.is_begun:
            return ""
        return PROMOTED if self.is_primary else UNPROMOTED

    async def monitor(self, *, is_first: bool = False) -> Outcome:
        """Ask the agent how it is. What it started is followed from just before: no end falls between two looks."""
        agent = self.agent
        self.wanted_now.clear()
        self.following.follow(await self._running.processes(self.component))
        interval = 0 if is_first else agent.monitor_every
        role = self.role if agent.is_promotable and not is_first else ""
        outcome = await self.act("monitor", agent.monitor_timeout, interval=interval, role=role)
        self.seen = outcome
        if _tells_role(outcome):
            self._was_promoted = outcome.is_promoted
        return outcome

    async def act(
        self,
        action: str,
        within: Duration,
        *,
        interval: Duration = 0,
        role: str = "",
        notice: Notice | None = None,
        not_after: Instant | None = None,
    ) -> Outcome:
        """Run one action."""
        if action in _URGENT:
            for telling in self._notices:
                telling.cancel()
        async with self._acting:
            outcome = await self._act(
                action, within, interval=interval, role=role, notice=notice, not_after=not_after
            )
        self._attributes.on_acted()
        return outcome

    async def be_told(self, notice: Notice) -> None:
        """Tell its agent what happens to a peer. What comes of it is the agent's business: its monitor tells."""
        telling = asyncio.create_task(self.act("notify", self.agent.monitor_timeout, notice=notice))
        self._notices.add(telling)
        try:
            await asyncio.wait([telling])
        finally:
            telling.cancel()
            self._notices.discard(telling)

    async def _act(
        self,
        action: str,
        within: Duration,
        *,
        interval: Duration,
        role: str,
        notice: Notice | None,
        not_after: Instant | None,
    ) -> Outcome:
        record = self.record
        if record.agent.is_promotable:
            self.tell_peers()
        told = variables.of_action(
            record.agent, self.where, action, timeout=within, interval=interval, role=role
        )
        if notice is not None:
            told |= variables.of_notice(notice, self.where)
        told |= self._places()
        mark = Mark(self.component, record.epoch, record.is_primary, record.run_digest, hook=HOOK)
        output.rotate(self.folder.output, record.log_max_bytes)
        return await self._running.run(mark, record.agent, action, told, within=within, not_after=not_after)

    def adjust(self, spec: ProcessSpec) -> None:
        """Take over the timeouts that the file says now, if it is still about this life."""
        if isinstance(spec.managed, OcfAgent) and run_digest(spec) == self.record.run_digest:
            self.record = replace(self.record, agent=spec.managed)

    async def begin(self, record: OcfRecord, where: Whereabouts) -> str:
        """Write down that a new life begins, and make room for it; return what went wrong."""
        self.seen, self.adopted, self.is_reported_gone = None, False, False
        self._was_promoted = False
        before, self.where = self.record, where
        if error := await self.put(record) or self.make_place():
            self.record = before
            return error
        return ""

    async def put(self, record: OcfRecord) -> str:
        """Write the record; return what went wrong."""
        try:
            await self._running.in_thread(partial(records.write, self.folder, record))
        except OSError as error:
            return _UNRECORDED.format(path=self.folder.path, why=error.strerror)
        self.record = record
        return ""

    async def note_stopped(self) -> None:
        """Remember that nothing of it runs any more."""
        self.is_reported_gone = True
        stopped = replace(self.record, is_begun=False, is_primary=False)
        await self.put(stopped)  # where that fails the next look finds the same
        self.record = stopped

    def make_place(self) -> str:
        """Make the folders that agents write to, empty after a boot; return what went wrong."""
        try:
            self.folder.make()
            temporary = self.folder.path / "ocf-tmp"
            mark = temporary / ".boot"
            if not mark.exists() or mark.read_text("utf-8") != self.record.boot:
                shutil.rmtree(temporary, ignore_errors=True)
                temporary.mkdir(mode=0o755)
                mark.write_text(self.record.boot, "utf-8")
        except OSError as error:
            return _UNRECORDED.format(path=self.folder.path, why=error.strerror)
        return ""

    def ending_calls(self) -> tuple[tuple[tuple[str, ...], ...], dict[str, str]]:
        """Return the commands that end it, in their order, and their variables; secrets that cannot be read are left out."""
        agent, program = self.agent, str(path_of(self.agent.provider_agent))
        actions = ("demote", "stop") if agent.is_promotable else ("stop",)
        told = variables.of_action(agent, self.where, "stop", timeout=agent.stop_timeout) | self._places()
        for name, value in tuple(told.items()):
            if isinstance(value, SecretFrom):
                del told[name]
                with suppress(Refused):
                    told |= read_secrets({name: value})
        return tuple((program, action) for action in actions), {
            name: str(value) for name, value in told.items()
        }

    def _places(self) -> dict[str, str]:
        return {
            "HA_RSCTMP": str(self.folder.path / "ocf-tmp"),
            "HOLDFAST_OCF_ATTRIBUTES": str(self._attributes.folder),
            "HOLDFAST_OCF_HOST": self.where.host,
        }


def _tells_role(outcome: Outcome) -> bool:
    return outcome.runs or outcome.is_absent or outcome.is_promoted
