"""What the agent tells the guard of its leases, while members restart and decisions are given up. A real guard, real processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from holdfast.agent.cluster.arming import Arming
from holdfast.agent.cluster.turning import ClusterTurned
from holdfast.agent.log import Line
from holdfast.components.guarding import Guarding, facts_of, facts_to_be
from holdfast.config.loading import load_text
from holdfast.loop.cluster.state import ClusterState, HeldLease
from holdfast.model.cluster import LEASE_BLOCK, HostReport, MemberReport
from holdfast.model.ids import ComponentId, member_of, service_of
from holdfast.model.policy import ProcessSpec
from holdfast.model.standing import Role, Status
from holdfast.model.time import Instant
from holdfast.model.value import replace
from tests.contract.components.stage import COMPONENT, FOREVER, run, staged
from tests.contract.guard.watch import LONG, Watch, now, status_of, until_status, watched

pytestmark = pytest.mark.e2e

SERVICE, MEMBER = service_of(COMPONENT), member_of(COMPONENT)
NEIGHBOUR = f"{SERVICE}/neighbour"  # of the same service, on the same host
FILE = f"""
system: s
cluster: {{coordinator: "etcd://127.0.0.1:2379", secret: {{env: K}}}}
hosts: {{h1: {{address: 127.0.0.1}}, h2: {{address: 127.0.0.2}}}}
services:
  {SERVICE}:
    mode: active-standby
    run: [sleep, infinity]
    members: {{{MEMBER}: {{on: h1}}, neighbour: {{on: h1}}}}
"""
EPOCH = 3
SERVES = MemberReport(Status.UP, Role.PRIMARY, EPOCH * LEASE_BLOCK + 1)
STANDS_BY = MemberReport(Status.UNKNOWN, is_clear=True)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with staged(tmp_path, use_cgroups=False) as stage, watched(stage) as watch:
        yield watch


class Host:
    """What arms the guard, and the state of the cluster loop that it follows."""

    def __init__(self, watch: Watch, guarding: Guarding) -> None:
        self.said: list[Line] = []
        self.state = ClusterState("h1", "l1", load_text(FILE), 0)
        self.arming = Arming(
            guarding,
            partial(facts_of, watch.directory),
            partial(facts_to_be, watch.directory),
            lambda: self.state,
            self.said.append,
        )

    def turn(self, report: MemberReport, *, until: Instant) -> None:
        """Have the host hold the lease until then, and its member be as `report` says. 0: it holds none."""
        held = {SERVICE: HeldLease(MEMBER, EPOCH, session=1, until=until)} if until else {}
        number = self.state.report.number + 1
        after = replace(self.state, held=held, report=HostReport("l1", number, members={COMPONENT: report}))
        before, self.state = self.state, after
        self.arming(ClusterTurned(now(), before, after, ()))

    async def permit(self, component: ComponentId = COMPONENT) -> str:
        return (await self.arming.permit(component, EPOCH * LEASE_BLOCK + 1))[0]


@asynccontextmanager
async def host(watch: Watch, guarding: Guarding) -> AsyncIterator[Host]:
    found = Host(watch, guarding)
    work = asyncio.create_task(found.arming.run())
    try:
        yield found
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def test_the_next_life_of_a_member_may_begin_slowly_while_its_host_keeps_the_lease(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding, host(watch, guarding) as it:
            await agent.start(ProcessSpec(command=FOREVER))
            it.turn(SERVES, until=now() + LONG)
            assert await it.permit() == ""
            await agent.start(ProcessSpec(command=FOREVER))  # it crashed
            await it.arming.began(COMPONENT)
            renewed = now() + 2 * LONG
            it.turn(STANDS_BY, until=renewed)
            await until_status(guarding, lambda status: status.armed[COMPONENT].deadline == renewed)

    run(story())


def test_only_the_member_that_the_lease_is_for_is_armed_when_it_begins(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding, host(watch, guarding) as it:
            await agent.start(ProcessSpec(command=FOREVER), NEIGHBOUR)
            it.turn(SERVES, until=now() + LONG)
            await it.arming.began(NEIGHBOUR)
            assert NEIGHBOUR not in (await status_of(guarding)).armed

    run(story())


def test_a_promotion_that_is_given_up_while_the_guard_is_armed_leaves_no_deadline(watch: Watch) -> None:
    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding, host(watch, guarding) as it:
            await agent.start(ProcessSpec(command=FOREVER))
            it.turn(STANDS_BY, until=now() + LONG)
            guard = (await status_of(guarding)).guard.pid
            os.kill(guard, signal.SIGSTOP)
            asked = asyncio.create_task(it.permit())
            await asyncio.sleep(0)  # it is asked, and does not answer
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            os.kill(guard, signal.SIGCONT)
            await until_status(guarding, lambda status: COMPONENT in status.armed)
            it.turn(STANDS_BY, until=0)
            await until_status(guarding, lambda status: COMPONENT not in status.armed)

    run(story())
