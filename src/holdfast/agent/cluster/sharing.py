"""Sharing the file: what `holdfast apply` put into the coordinator is taken over here, when it is this host's turn.

It says what to run as whom, so it counts only with a signature that the cluster's key makes, and only under a larger number than
any before. What was taken over is kept beside the agent's state: the next start needs no coordinator to know it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from holdfast.agent import clock
from holdfast.agent.cluster.memory import Remembering
from holdfast.agent.log import Level, Line
from holdfast.components.records import put_in_place
from holdfast.config import ConfigError
from holdfast.config.loading import load_text
from holdfast.coordination.recipes.shared_policy import Forged, PolicyRevision, SharedPolicy
from holdfast.loop.cluster import rollout
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.ids import ComponentId, HostName
from holdfast.model.policy import Policy
from holdfast.model.time import Instant, show_duration
from holdfast.model.value import Value, replace
from holdfast.ports.coordination import Entry

FILE = "shared-policy.json"
_LOOK_EVERY_S = 0.5  # while it is another host's turn
_AGAIN_S = 2.0  # what did not work is tried again: a disk may be full only for a while


class Kept(Value, frozen=True):
    """The shared file as it was last taken over."""

    number: int
    revision: str
    text: str
    folder: str  # where relative paths start


def kept(directory: Path) -> Kept | None:
    """Return the shared file that was last taken over on this host; None if there never was one."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None


def load_kept(shared: Kept) -> Policy:
    """Return the policy that it says; ConfigError if it says none on this host."""
    policy = load_text(shared.text, f"policy {shared.number}", shared.folder)
    return replace(policy, revision=shared.revision)


class Sharing:
    """One host's copy of the shared file."""

    def __init__(  # noqa: PLR0917 - each is a part of the agent that a new file goes through
        self,
        shared: SharedPolicy,
        directory: Path,
        folder: Path,
        remembering: Remembering,
        state: Callable[[], ClusterState],
        take_over: Callable[[Policy, str], Awaitable[str]],
        say: Callable[[Line], None],
    ) -> None:
        self._shared = shared
        self._directory = directory
        self._folder = folder
        self._remembering = remembering
        self._state = state
        self._take_over = take_over
        self._say = say
        self._entry: Entry | None = None
        self._woken = asyncio.Event()
        self._well_since: tuple[int, Instant] | None = None  # which number the hosts before us run well
        self._noted = 0  # the newest number that was seen
        self._down_before: dict[HostName, frozenset[ComponentId]] = {}  # when it was seen first
        self.waiting = ""  # a newer file is there, and why it is not in force here
        self._told = ""

    def see(self, entry: Entry) -> None:
        """Learn what stands in the coordinator."""
        self._entry = entry
        found = self._shared.understood(entry, at_least=self.number)
        if not isinstance(found, Forged) and found.number > self._noted:
            # Now, before the first host can have taken it over: later nobody could tell what the file broke.
            self._noted = found.number
            self._down_before = rollout.down_before(self._state(), found.revision)
        self._woken.set()

    @property
    def number(self) -> int:
        """Return the number of the shared file that is in force here; 0: none is."""
        return self._remembering.memory.policy_number

    async def run(self) -> None:
        """Take new files over until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            entry = self._entry
            assert entry is not None
            found = self._shared.understood(entry, at_least=self.number)
            if isinstance(found, Forged):
                self._wait(f"it is not obeyed: {found.why}")
            elif found.number > self.number:
                await self._roll_out(found)

    async def _roll_out(self, found: PolicyRevision) -> None:
        kept_ = Kept(found.number, found.revision, found.text, str(self._folder))
        try:
            policy = await asyncio.to_thread(load_kept, kept_)
        except ConfigError as unusable:
            self._wait(f"policy {found.number} cannot be used on this host: {unusable}")
            return
        if why := self._why_wait(found, policy):
            await self._wait_and_look(f"policy {found.number} by {found.by} waits: {why}", _LOOK_EVERY_S)
            return
        if error := await self._take_over(policy, f"holdfast apply, by {found.by}"):
            await self._wait_and_look(f"policy {found.number} was not taken over: {error}", _AGAIN_S)
            return
        try:
            await asyncio.to_thread(put_in_place, self._directory / FILE, msgspec.json.encode(kept_))
        except OSError as error:
            await self._wait_and_look(
                f"policy {found.number} runs, but is not kept for the next start: {error}", _AGAIN_S
            )
            return
        self._remembering.note(replace(self._remembering.memory, policy_number=found.number))
        self._wait("")
        text = f"policy {found.number}, revision {found.revision}, by {found.by}{self._left_out()}"
        self._say(Line(Level.INFO, "agent", "reloaded", text))

    def _why_wait(self, found: PolicyRevision, policy: Policy) -> str:
        """Return why it is not this host's turn yet; empty if it is."""
        state = self._state()
        if why := rollout.why_wait(state, found.revision, self._down_before):
            self._well_since = None
            return why
        names = rollout.forerunners(state)
        if not names:
            return ""
        now = clock.now()
        if self._well_since is None or self._well_since[0] != found.number:
            self._well_since = (found.number, now)
        watched_for = rollout.watched_for(policy)
        if now - self._well_since[1] >= watched_for:
            return ""
        do = "runs it, and is" if len(names) == 1 else "run it, and are"
        return f"{', '.join(names)} {do} watched for {show_duration(watched_for)}{self._left_out()}"

    def _left_out(self) -> str:
        """Return in words what the hosts before us were not judged by; empty if by everything."""
        names = rollout.forerunners(self._state())
        left_out = [f"{id_} on {host}" for host in names for id_ in sorted(self._down_before.get(host, ()))]
        return f"; not watched, since down before: {', '.join(left_out)}" if left_out else ""

    async def _wait_and_look(self, why: str, seconds: float) -> None:
        self._wait(why)
        await asyncio.sleep(seconds)
        self._woken.set()

    def _wait(self, why: str) -> None:
        self.waiting = why
        if why and why != self._told:
            self._say(Line(Level.WARN, "agent", "reload", why))
        self._told = why
