"""The agent: everything wired together, from the first look to the orderly leave.

Whatever way it ends, what it manages goes on running: the components are not its children in any way that matters, and
the balancer fails over by its own checks. Only `down` stops them.
"""

import asyncio
import gc
import os
import random
import secrets
import signal
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.agent import clock, status
from holdfast.agent.answering import Answering
from holdfast.agent.asking import Asking
from holdfast.agent.audit import AUDIT, Audit
from holdfast.agent.carrying_out import CarryingOut
from holdfast.agent.changes import Changes
from holdfast.agent.cluster.clustering import Clustering, Joints, Place
from holdfast.agent.cluster.commanding import Commanding
from holdfast.agent.cluster.host import Host
from holdfast.agent.cluster.postgresql import look_after_servers
from holdfast.agent.cluster.redis import look_after_cluster_redis
from holdfast.agent.cluster.resource_agents import look_after_agents
from holdfast.agent.control import Control
from holdfast.agent.directory import StateDirectory
from holdfast.agent.epochs import EpochBook
from holdfast.agent.history import JournalHistory
from holdfast.agent.log import Level, Line, Log
from holdfast.agent.notify import Notifier
from holdfast.agent.peers import group_number
from holdfast.agent.recalling import recall
from holdfast.agent.redis import look_after_redis_alone
from holdfast.agent.reloading import Reloading
from holdfast.agent.remote import RemoteControl
from holdfast.agent.surveying import Surveying
from holdfast.agent.telling import lines_of
from holdfast.agent.tokens import TOKENS, Tokens
from holdfast.agent.turning import TICK_EVERY, Turned, Turning
from holdfast.components.by_kind import ComponentsByKind
from holdfast.components.local import LocalProcesses
from holdfast.components.marking import read_secret
from holdfast.fencing import FenceAgents
from holdfast.journal import SqliteJournal
from holdfast.loop.reviving import is_emptied
from holdfast.model.events import AgentStarted, Ending, Probed
from holdfast.model.ids import ComponentId, HostName, Incarnation
from holdfast.model.observation import Observation
from holdfast.model.policy import OcfAgent, Policy
from holdfast.model.postgresql import PostgresServer
from holdfast.model.redis import RedisServer
from holdfast.model.time import SECOND
from holdfast.ocf.adapter import OcfAgents
from holdfast.probing import ProbeEngine
from holdfast.traffic.haproxy import HaproxyTraffic

JOURNAL = "journal.sqlite"
EPOCHS = "epochs.json"
_LEAVE_WITHIN_S = 2.0  # for what is being carried out when the agent leaves
_CONFIGURE_EVERY_S = 5.0  # while the balancer does not take the configuration that we started with


class Agent:
    """One agent on one state directory. Made on the event loop, run once."""

    def __init__(
        self,
        file: Path,
        directory: StateDirectory,
        policy: Policy,
        log: Log,
        notifier: Notifier,
        *,
        host: Host | None = None,
    ) -> None:
        self._file = file
        self._directory = directory
        self._policy = policy
        self._log = log
        self._notifier = notifier
        self._started_at = clock.now()
        self._alive_at = 0
        self._balancer_problem = ""
        self._warned: tuple[str, ...] = ()  # the journal keeps only the newest: none is known by its place
        self._told_status = ""
        self._leave = asyncio.Event()
        self._exit_code = 0
        self._tasks: list[asyncio.Task[None]] = []

        path = directory.path
        self._epochs = epochs = EpochBook(path / EPOCHS)
        self._journal = SqliteJournal(path / JOURNAL, wall=clock.wall)
        self._boot = clock.boot_id()
        self._turning = Turning(
            recall(self._journal, policy.system, self._say),
            self._journal,
            wake_every=min(TICK_EVERY, notifier.alive_every or TICK_EVERY),
        )
        self._processes = processes = LocalProcesses(path)
        self._agents = agents = OcfAgents(
            path, lambda: self._turning.state.policy, host=host.name if host is not None else ""
        )
        self._components = ComponentsByKind(path, processes, {OcfAgent: agents})
        self._probing = ProbeEngine(random.Random(secrets.randbits(64)))  # noqa: S311 - jitter, no secret
        self._traffic = HaproxyTraffic(path)
        put = self._turning.put
        self._surveying = Surveying(self._components, self._traffic, put, self._say)
        self._carrying_out = CarryingOut(self._components, self._traffic, epochs, put, self._say)
        self._changes = Changes()
        self._reloading = Reloading(
            file, path, self._turning, self._traffic, say=self._say, notifier=notifier
        )
        self._fencing = FenceAgents()
        self._works: tuple[
            tuple[str, Callable[[], Coroutine[Any, Any, None]]], ...
        ] = ()  # beside a cluster's
        self._clustering = self._joined(host) if host is not None else None
        if host is None:
            self._look_after_alone()
        self._listen(host)
        self._follow()

    def _listen(self, host: Host | None) -> None:
        """Make the ways in: the socket of this host, and of several hosts the one for the others."""
        path = self._directory.path
        history = JournalHistory(path / JOURNAL, self._journal.flush)
        answering = Answering(self._turning, self._changes, history, self.status, self._reloading.reload)
        self._audit = Audit(path / AUDIT, self._say)
        self._control = Control(
            answering, lambda: self._turning.state.policy.control.group, self._say, self._audit
        )
        self._remote: RemoteControl | None = None
        if host is not None and self._clustering is not None:
            answering.commanding = Commanding(self._clustering)
            self._remote = RemoteControl(
                answering,
                lambda: self._turning.state.policy,
                host.name,
                audit=self._audit,
                tokens=Tokens(path / TOKENS),
                say=self._say,
            )

    def status(self) -> status.AgentStatus:
        """Return how the agent itself is."""
        remote = self._remote.problem if self._remote is not None else ""
        problems = (self._reloading.problem, self._balancer_problem, self._journal.problem or "", remote)
        return status.AgentStatus(
            pid=os.getpid(),
            version=__version__,
            uptime_s=round((clock.now() - self._started_at) / SECOND, 3),
            file=str(self._file),
            directory=str(self._directory.path),
            revision=self._turning.state.policy.revision,
            problem="; ".join(problem for problem in problems if problem),
        )

    async def run(self) -> int:
        """Run until told to leave; return the exit code."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_fault)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_by_signal)
        try:
            await self._begin()
            await self._leave.wait()
        finally:
            await self._end()
        return self._exit_code

    async def _begin(self) -> None:
        turning = self._turning
        self._surveying.watch()
        self._probing.watch(self._on_observation)
        salt, floors = secrets.randbits(32), self._epochs.floors()
        turning.turn(AgentStarted(self._boot, __version__, clock.wall_offset(), salt, floors))
        policy = self._reloading.part_of(self._policy)
        result = await self._reloading.put_in_force(policy)
        if result.ending is not Ending.DONE:
            # Better to look after everything but the balancer than after nothing.
            self._trouble_with_balancer(result.error)
            self._reloading.tell_core(policy)
            self._keep(self._keep_configuring(), "configuring")
        self._keep(turning.run(), "turning")
        await self._control.open(self._directory.socket)
        self._keep(self._control.stay_open(), "listening")
        self._admit()
        self._reloading.when_done = self._admit
        await self._surveying.survey()
        if self._has_balancer():
            await self._surveying.look()
        if self._clustering is not None:
            await self._clustering.open()
            for name, work in self._clustering.works():
                self._keep(work, name)
        for name, each in self._works:
            self._keep(each(), name)
        if self._remote is not None:
            await self._remote.open()
            self._keep(self._remote.stay_open(), "listening for other hosts")
        self._keep(self._surveying.keep_surveying(), "surveying")
        self._keep(self._surveying.keep_looking(self._has_balancer), "looking")
        # What was made until now lives as long as the agent: the collector need not go through it again.
        gc.collect()
        gc.freeze()
        self._notifier.ready()

    async def _end(self) -> None:
        self._notifier.stopping()
        is_down = is_emptied(self._turning.state)
        text = (
            "everything is stopped"
            if is_down
            else "the components and HAProxy go on running; `holdfast down` would have stopped them"
        )
        self._say(Line(Level.INFO, "agent", "leaving", text))
        await self._control.close()
        if self._remote is not None:
            await self._remote.close()
        await self._carrying_out.close(_LEAVE_WITHIN_S)
        if self._clustering is not None:
            await self._clustering.leave(is_down=is_down)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not is_down:
            await self._traffic.release()
        if self._clustering is not None:
            await self._clustering.close()
        await self._fencing.close()
        await self._probing.close()
        await self._traffic.close()
        await self._components.close()
        await asyncio.to_thread(self._audit.close)
        await asyncio.to_thread(self._journal.close)

    def _joined(self, host: Host) -> Clustering:
        """Make this agent one of several: it puts its own part of the file in force, and asks before a member serves."""
        path, reloading = self._directory.path, self._reloading
        joints = Joints(
            facts=self._components.facts_of,
            facts_to_be=self._components.facts_to_be,
            fence=self._fence,
            put_in_force=reloading.put_part_in_force,
            take_over=reloading.take_over,
        )
        place = Place(self._policy, host.name, host.secret, path, self._file.parent)
        clustering = Clustering(place, self._turning, joints, self._say)
        self._carrying_out.permits = clustering.arming
        servers = look_after_servers(clustering, host.secret, self._turning, self._processes, self._say)
        self._components.add(PostgresServer, servers)
        redis = look_after_cluster_redis(clustering, host.secret, self._turning, self._processes, self._say)
        self._components.add(RedisServer, redis)
        look_after_agents(clustering, self._agents, self._say)
        reloading.part_of = clustering.localizing.part_of
        reloading.when_whole = clustering.give
        return clustering

    def _look_after_alone(self) -> None:
        """Look after what needs care beyond its processes though there is one host."""
        secret = read_secret(self._directory.path)
        found = look_after_redis_alone(secret, self._turning, self._processes, self._say)
        self._components.add(RedisServer, found.adapter)
        self._works = (
            ("redis", found.care.run),
            ("sentinel", found.sentinels.run),
            ("reading redis", found.reading.run),
        )

    async def _fence(self, host: HostName) -> tuple[Ending, str]:
        """Make sure that a host is off, by the device that the whole file names for it."""
        policy = self._turning.state.policy.hosts.get(host)
        if policy is None or policy.fence is None:
            return Ending.FAILED, f"the file names no fence device for {host}"
        fenced = await self._fencing.fence(host, policy.fence)
        return fenced.ending, fenced.text

    def _follow(self) -> None:
        turning = self._turning
        turning.follow(self._tell)
        turning.follow(self._carrying_out)
        turning.follow(Asking(self._probing))
        turning.follow(self._changes)
        if self._clustering is not None:
            self._clustering.turning.follow(self._changes.of_cluster)
        turning.follow(self._leave_when_down)
        turning.when_idle(self._on_idle)

    def _tell(self, turned: Turned) -> None:
        self._log.say(turned.at, *lines_of(turned))

    def _say(self, line: Line) -> None:
        self._log.say(clock.now(), line)

    def _leave_when_down(self, turned: Turned) -> None:
        if turned.after.is_going_down and is_emptied(turned.after):
            self._leave.set()

    def _on_observation(
        self, component: ComponentId, probe: str, incarnation: Incarnation, observation: Observation
    ) -> None:
        self._turning.put(Probed(component, probe, incarnation, observation))

    def _on_idle(self) -> None:
        now = clock.now()
        every = self._notifier.alive_every
        if every is not None and now - self._alive_at >= every:
            self._notifier.alive()
            self._alive_at = now
        if (line := status.one_line(self._turning.state)) != self._told_status:
            self._notifier.status(line)
            self._told_status = line
        warnings = self._journal.warnings
        for warning in warnings:
            if warning not in self._warned:
                self._say(Line(Level.WARN, "journal", "warning", warning))
        self._warned = warnings

    def _admit(self) -> None:
        """Let in who the policy says."""
        name = self._turning.state.policy.control.group
        self._directory.admit(group_number(name) if name else None)
        if problem := self._control.admit():
            self._say(Line(Level.WARN, "control", "warning", problem))

    def _reload_by_signal(self) -> None:
        self._keep(self._reload_once(), "reload")

    async def _reload_once(self) -> None:
        if self._clustering is not None and (number := self._clustering.sharing.number):
            text = (
                f"SIGHUP changes nothing: policy {number} is shared by all hosts; `holdfast apply` changes it"
            )
            self._say(Line(Level.WARN, "agent", "reload", text))
            return
        await self._reloading.reload("SIGHUP")

    def _has_balancer(self) -> bool:
        return any(service.traffic is not None for service in self._turning.state.policy.services.values())

    async def _keep_configuring(self) -> None:
        while self._balancer_problem:
            await asyncio.sleep(_CONFIGURE_EVERY_S)
            result = await self._reloading.configure_again()
            if result.ending is Ending.DONE:
                self._balancer_problem = ""
                self._say(Line(Level.INFO, "agent", "balancer", "its configuration is in force now"))
            elif result.error != self._balancer_problem:
                self._trouble_with_balancer(result.error)

    def _trouble_with_balancer(self, error: str) -> None:
        self._balancer_problem = error
        self._say(Line(Level.ERROR, "agent", "balancer", f"its configuration is not in force: {error}"))

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._on_end_of_task)

    def _on_end_of_task(self, task: asyncio.Task[None]) -> None:
        """A part of the agent ended by an exception: ours is the fault, and half an agent is worse than none."""
        self._tasks.remove(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        trace = " | ".join(traceback.format_exception(error))
        self._say(Line(Level.ERROR, "agent", "fault", f"{task.get_name()} ended: {trace}"))
        self._exit_code = 1
        self._leave.set()

    def _on_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = " | ".join(traceback.format_exception(error)) if error else ""
        self._say(Line(Level.ERROR, "agent", "fault", f"{context.get('message', '')} {trace}"))
