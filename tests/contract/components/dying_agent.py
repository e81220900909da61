"""An agent that starts one component, and is killed by the test at some instant of it: `dying_agent.py DIRECTORY CGROUPS`."""
# ruff: noqa: T201 - it talks to the test through its output

import asyncio
import sys
from pathlib import Path

from holdfast.components.local import LocalProcesses
from holdfast.model.policy import ProcessSpec


async def main() -> None:
    """Say when the start begins and how it ended; then wait to be killed."""
    processes = LocalProcesses(Path(sys.argv[1]), use_cgroups=sys.argv[2] == "yes")
    print("starting", flush=True)
    result = await processes.start("orders/a", ProcessSpec(command=("sleep", "1000")), 7, is_primary=True)
    print(result.incarnation, flush=True)
    await asyncio.sleep(1000)


asyncio.run(main())
