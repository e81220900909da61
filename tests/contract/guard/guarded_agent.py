"""An agent with a primary: `guarded_agent.py DIRECTORY CGROUPS COMMAND...`. It is frozen or killed by the test."""
# ruff: noqa: T201 - it talks to the test through its output

import asyncio
import sys
import time
from pathlib import Path

from holdfast.components.guarding import Guarding, GuardStatus, facts_of
from holdfast.components.local import LocalProcesses
from holdfast.guard.facts import Facts
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND, SECOND

COMPONENT = "orders/a"
LEASE = 2 * SECOND


async def main() -> None:
    """Say when the deadline of the component has been moved; then go on moving it."""
    directory, use_cgroups, command = Path(sys.argv[1]), sys.argv[2] == "yes", tuple(sys.argv[3:])
    processes = LocalProcesses(directory, use_cgroups=use_cgroups)
    guarding = Guarding(directory, within=20 * SECOND)
    assert isinstance(await guarding.status(), GuardStatus)
    await processes.start(COMPONENT, ProcessSpec(command=command), 7, is_primary=True)
    facts = facts_of(directory, COMPONENT)
    assert isinstance(facts, Facts), facts
    error = await guarding.arm(COMPONENT, facts, _now() + LEASE)
    assert error is None, error
    refused = await guarding.extend({COMPONENT: _now() + LEASE})
    assert refused == {}, refused
    print("extended", flush=True)
    while True:
        await asyncio.sleep(50 * MILLISECOND / SECOND)
        await guarding.extend({COMPONENT: _now() + LEASE})


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


asyncio.run(main())
