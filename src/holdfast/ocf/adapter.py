"""The adapter: components that OCF resource agents look after, behind `ports.components`.

What a component's monitor says is the truth. A component may be no process at all, so its life is a count that we keep beside it;
who fails its monitor is reported as ended, and counts as clean only when its agent has stopped it and said so.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from holdfast.components import procfs
from holdfast.guard.facts import Facts
from holdfast.model.digests import run_digest
from holdfast.model.events import Ending, Exit, ProcessSeen
from holdfast.model.ids import ComponentId, Epoch, service_of
from holdfast.model.policy import OcfAgent, Policy, ProcessSpec
from holdfast.model.time import Instant
from holdfast.model.value import replace
from holdfast.ocf import ending, peers, records, scoring
from holdfast.ocf.attributes import Attributes
from holdfast.ocf.looking import look_after
from holdfast.ocf.outcomes import CANNOT_SAY, Outcome
from holdfast.ocf.peers import Peers
from holdfast.ocf.records import OcfRecord
from holdfast.ocf.resource import Resource
from holdfast.ocf.running import Running
from holdfast.ocf.sharing import Replica
from holdfast.ports.components import ComponentListener, Result

_DETAIL = 1024  # characters
_AT_A_TIME = 4  # first looks


class OcfAgents:
    """The components of one state directory that resource agents look after."""

    def __init__(
        self, directory: Path, policy: Callable[[], Policy], *, host: str = "", use_cgroups: bool = True
    ) -> None:
        """`policy`: what this host carries out now. `host`: its name among several; empty: it is the only one."""
        self._directory = directory
        self._policy = policy
        self._host = host
        self._boot = procfs.boot_id()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="ocf")
        self._running = Running(directory, self._threads, use_cgroups=use_cgroups)
        self.attributes = Attributes(directory / "ocf" / "attributes")
        self._resources: dict[ComponentId, Resource] = {}
        self.peers = Peers(self._resources, self.attributes, policy, host)
        self._looks: dict[ComponentId, asyncio.Task[None]] = {}
        self.replica: Replica | None = None  # from the first survey on
        self._listener: ComponentListener | None = None
        self._has_recalled = False

    def watch(self, listener: ComponentListener) -> None:
        """Report to `listener` from now on."""
        self._listener = listener

    async def close(self) -> None:
        """Let go of everything; what agents started goes on running."""
        self._listener = None
        looks = tuple(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await self.peers.close()
        for resource in self._resources.values():
            resource.following.close()
        self._running.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def owns(self, component: ComponentId) -> bool:
        """Tell whether the component runs in the care of an agent, or may."""
        resource = self._resources.get(component)
        return resource is not None and resource.record.is_begun

    def score_of(self, component: ComponentId) -> int | None:
        """Return how much its agent wants it to be primary; None: it said nothing."""
        resource = self._resources.get(component)
        if resource is None or not resource.agent.is_promotable:
            return None
        return self.attributes.score_of(resource.where.host, resource.where.resource)

    def why_unscored(self, component: ComponentId) -> str:
        """Return why it must not be promoted by the word of its agent; empty: it may be, or its agent gives no scores."""
        resource = self._resources.get(component)
        return "" if resource is None else scoring.why_unscored(resource, self.score_of(component))

    def facts_of(self, component: ComponentId, marks: tuple[str, ...]) -> Facts | None:
        """Return what the guard has to know to end the component; None if no agent looks after it."""
        service = self._policy().services.get(service_of(component))
        member = service.member(component.partition("/")[2]) if service is not None else None
        if self.owns(component):
            resource = self._resources[component]
        elif member is not None and isinstance(member.run.managed, OcfAgent):
            resource = self._made(component, self._blank(member.run))
        else:
            return None
        commands, variables = resource.ending_calls()
        cgroup = self._running.cgroup(component)
        return Facts(
            0,
            0,
            self._boot,
            marks,
            "" if cgroup is None or not cgroup.path.is_dir() else str(cgroup.path),
            commands,
            tuple(f"{name}={value}" for name, value in variables.items()),
        )

    # --- looking ------------------------------------------------------------------------------------

    async def survey(self) -> tuple[ProcessSeen, ...]:
        """Return what runs. What was not looked at yet is asked first: what the file names, and what we once started."""
        if not self._has_recalled:
            await self._running.in_thread(partial(self.attributes.begin, self._boot))
            self.replica = Replica(self.attributes, self._host, self._boot)
        fresh = [*(self._recall() if not self._has_recalled else ()), *self._named()]
        self._has_recalled = True
        at_a_time = asyncio.Semaphore(_AT_A_TIME)
        await asyncio.gather(*(self._look_first(resource, at_a_time) for resource in fresh))
        return tuple(self._see(resource) for resource in self._resources.values() if resource.is_live)

    def _recall(self) -> list[Resource]:
        found = []
        for component in records.recorded(self._directory):
            record = records.read(self._running.folder(component))
            if record is None or component in self._resources:
                continue
            if record.boot != self._boot:
                record = replace(record, boot=self._boot, is_begun=False, is_primary=False)
            self._running.recorded_cgroups[component] = record.cgroup
            found.append(self._keep(self._made(component, record)))
        return found

    def _named(self) -> list[Resource]:
        found = []
        for name, service in self._policy().services.items():
            for component, member in zip(service.components, service.members, strict=True):
                if not isinstance(member.run.managed, OcfAgent):
                    continue
                resource = self._resources.get(component)
                if resource is None:
                    found.append(self._keep(self._made(component, self._blank(member.run))))
                elif not resource.record.is_begun:
                    resource.record = replace(resource.record, agent=member.run.managed)
                    resource.where = self.peers.whereabouts(component, member.run.managed)
                else:
                    resource.adjust(member.run)
            self.peers.tell(name)
        return found

    async def _look_first(self, resource: Resource, at_a_time: asyncio.Semaphore) -> None:
        async with at_a_time, resource.turn:
            if resource.component in self._looks:
                return  # it was started meanwhile
            resource.make_place()
            outcome = await resource.monitor(is_first=True)
            record = resource.record
            cannot_say = outcome.is_unbegun or outcome.code in CANNOT_SAY
            if outcome.is_absent or (cannot_say and not record.is_begun):
                if record.is_begun:
                    await resource.note_stopped()
                return
            resource.adopted = True
            if (
                not record.is_begun
            ):  # somebody else started it: it is ours to stop or to keep, as a process would be
                record = replace(record, life=record.life + 1, is_begun=True, is_primary=outcome.is_promoted)
                record = replace(record, run_digest="", epoch=0)
            await resource.put(record)
            self._begin_look(resource, at_once=not outcome.runs)

    def _see(self, resource: Resource) -> ProcessSeen:
        record = resource.record
        return ProcessSeen(
            component=resource.component,
            incarnation=record.incarnation,
            is_primary=resource.is_primary,
            epoch=record.epoch,
            run_digest=record.run_digest,
            adopted=resource.adopted,
        )

    def _begin_look(self, resource: Resource, *, at_once: bool = False) -> None:
        resource.is_reported_gone = False
        look = look_after(resource, self._on_gone, at_once=at_once)
        self._looks[resource.component] = asyncio.create_task(look, name=f"monitor {resource.component}")

    async def _cease_look(self, component: ComponentId) -> None:
        look = self._looks.pop(component, None)
        if look is not None:
            look.cancel()
            await asyncio.wait([look])

    def _on_gone(self, resource: Resource, outcome: Outcome) -> None:
        if self._listener is not None:
            how = Exit(
                detail=str(outcome)[:_DETAIL]
            )  # no code of a process: what it means stands in the text
            self._listener.on_exit(resource.component, resource.record.incarnation, how)

    # --- changing -----------------------------------------------------------------------------------

    async def start(
        self,
        component: ComponentId,
        spec: ProcessSpec,
        epoch: Epoch,
        *,
        is_primary: bool,
        not_after: Instant | None = None,
    ) -> Result:
        """Have the agent start it, and see that it runs. What is left of its last life is ended first."""
        if not isinstance(spec.managed, OcfAgent):
            return Result(Ending.FAILED, f"{component} names no resource agent")
        resource = self._resources.get(component) or self._keep(
            self._made(component, self._read(component, spec))
        )
        await self._cease_look(component)
        async with self.peers.alone(resource), resource.turn:
            if resource.record.is_begun and (left := await ending.end(resource, self._running, self.peers)):
                self._begin_look(resource)
                return Result(Ending.FAILED, f"not started beside its last life: {left}")
            record = OcfRecord(
                life=resource.record.life + 1,
                boot=self._boot,
                agent=spec.managed,
                run_digest=run_digest(spec),
                epoch=epoch,
                is_primary=is_primary,
                is_begun=True,
                log_max_bytes=spec.log_max_bytes,
                cgroup="" if (cgroup := self._running.cgroup(component)) is None else str(cgroup.path),
            )
            # Written before the start: an agent that dies within it must find afterwards what it began.
            if error := await resource.begin(record, self.peers.whereabouts(component, spec.managed)):
                return Result(Ending.FAILED, error)
            if not_after is not None and time.clock_gettime_ns(time.CLOCK_BOOTTIME) > not_after:
                await resource.note_stopped()
                return Result(Ending.FAILED, "not started: it would have been too late")
            return await self._begun(resource)

    async def _begun(self, resource: Resource) -> Result:
        try:
            await self.peers.notify(resource, "pre", "start")
            outcome = await resource.act("start", resource.agent.start_timeout)
            if outcome.code == 0:
                outcome = await resource.monitor()
        except asyncio.CancelledError:
            self._begin_look(resource)  # half started: the next monitor says how it is
            raise
        if outcome.runs:
            await self.peers.notify(resource, "post", "start")
            self._begin_look(resource)
            return Result(Ending.DONE, incarnation=resource.record.incarnation)
        if outcome.is_unbegun:
            await resource.note_stopped()
            return Result(Ending.FAILED, str(outcome))
        if left := await ending.end(resource, self._running, self.peers, at_once=True):
            self._begin_look(resource)
            return Result(Ending.UNKNOWN, f"{outcome}; and then {left}")
        return Result(Ending.FAILED, str(outcome))

    async def stop(self, component: ComponentId, spec: ProcessSpec, *, at_once: bool) -> Result:
        """Have the agent stop it, and see that nothing of it runs. `at_once`: its processes are killed first."""
        resource = self._resources.get(component)
        if resource is None:
            if not isinstance(spec.managed, OcfAgent):
                return Result(Ending.DONE)
            resource = self._keep(self._made(component, self._read(component, spec)))
        await self._cease_look(component)
        was_gone, left = resource.is_reported_gone, "unbegun"
        try:  # who gives it up may do so while it waits for its turn
            async with self.peers.alone(resource, in_order=not at_once), resource.turn:
                resource.adjust(spec)
                left = await ending.end(resource, self._running, self.peers, at_once=at_once)
        finally:
            if left and not was_gone:
                self._begin_look(resource)
        if left:
            return Result(Ending.UNKNOWN, left)
        return Result(Ending.DONE, exit=Exit(detail="stopped by its resource agent"))

    async def promote(self, component: ComponentId, spec: ProcessSpec, epoch: Epoch) -> Result:
        """Record the role, have the agent promote it, and see that it did."""
        resource = self._resources.get(component)
        if resource is None or not resource.is_live:
            return Result(Ending.FAILED, f"{component} does not run, so it cannot become primary")
        async with self.peers.alone(resource), resource.turn:
            resource.adjust(spec)
            record = resource.record
            if epoch < record.epoch:
                return Result(Ending.FAILED, f"epoch {epoch} is over: {component} is at epoch {record.epoch}")
            if other := self.peers.unended_primary(resource):
                return Result(Ending.FAILED, f"{other} failed, is not ended yet, and may still be primary")
            # Who chose among several hosts knew the scores as they were reported: a primary may have taken one back since.
            if self._host and (why := self.why_unscored(component)):
                return Result(Ending.FAILED, why)
            if error := await resource.put(replace(record, is_primary=True, epoch=epoch)):
                return Result(Ending.FAILED, error)
            if not resource.agent.is_promotable:
                return Result(Ending.DONE)
            return await peers.change_role(resource, self.peers, "promote", resource.agent.promote_timeout)

    async def demote(self, component: ComponentId, spec: ProcessSpec) -> Result:
        """Have the agent demote it, see that it did, clear the recorded role."""
        resource = self._resources.get(component)
        if resource is None or not resource.record.is_begun:
            return Result(Ending.DONE)
        async with self.peers.alone(resource), resource.turn:
            resource.adjust(spec)
            if resource.agent.is_promotable:
                timeout = resource.agent.demote_timeout
                result = await peers.change_role(resource, self.peers, "demote", timeout)
                if result.ending is not Ending.DONE:
                    return result
            error = await resource.put(replace(resource.record, is_primary=False))
            return Result(Ending.FAILED, error) if error else Result(Ending.DONE)

    # --- what is known of each ----------------------------------------------------------------------

    def _read(self, component: ComponentId, spec: ProcessSpec) -> OcfRecord:
        record = records.read(self._running.folder(component)) or self._blank(spec)
        return record if record.boot == self._boot else replace(record, boot=self._boot, is_begun=False)

    def _blank(self, spec: ProcessSpec) -> OcfRecord:
        assert isinstance(spec.managed, OcfAgent), "asked only of those"
        return OcfRecord(0, self._boot, spec.managed, "", 0, is_primary=False, is_begun=False)

    def _made(self, component: ComponentId, record: OcfRecord) -> Resource:
        where = self.peers.whereabouts(component, record.agent)
        return Resource(component, record, where, self._running, self.attributes)

    def _keep(self, resource: Resource) -> Resource:
        self._resources[resource.component] = resource
        resource.tell_peers = partial(self.peers.tell, service_of(resource.component))
        return resource
