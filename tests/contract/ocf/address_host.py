"""A host of the tests: an adapter that looks after one address, told what to do on its standard input.

`start`, `stop` and `survey` answer with a line each. `arm MILLISECONDS` arms a guard and then does nothing any more, as an agent
that is frozen.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

import msgspec

from holdfast.components import guarding
from holdfast.components.guarding import Guarding
from holdfast.model.policy import MemberPolicy, Mode, OcfAgent, Policy, ProcessSpec, ServicePolicy
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.ocf.adapter import OcfAgents

COMPONENT = "address/a"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(directory: Path, address: str) -> None:
    told = OcfAgent(
        "heartbeat:IPaddr2",
        {"ip": address, "cidr_netmask": "24", "nic": "eth0", "arp_interval": "50", "arp_count": "10"},
        monitor_every=SECOND,
    )
    spec = ProcessSpec(command=(), managed=told)
    policy = Policy("test", {"address": ServicePolicy("address", Mode.SINGLETON, (MemberPolicy("a", spec),))})
    agents = OcfAgents(directory, lambda: policy)
    say("ready")
    while words := (await asyncio.to_thread(sys.stdin.readline)).split():
        match words:
            case ["start"]:
                answer = (await agents.start(COMPONENT, spec, 1, is_primary=True)).ending.value
            case ["stop"]:
                answer = (await agents.stop(COMPONENT, spec, at_once=False)).ending.value
            case ["survey"]:
                answer = msgspec.json.encode(await agents.survey()).decode()
            case ["arm", milliseconds]:
                answer = await _arm(directory, agents, int(milliseconds))
            case _:
                raise AssertionError(words)
        say(answer)
        if words[0] == "arm":
            signal.raise_signal(signal.SIGSTOP)
    await agents.close()


async def _arm(directory: Path, agents: OcfAgents, milliseconds: int) -> str:
    guard = Guarding(directory, within=20 * SECOND)
    await guard.status()  # started, if there was none
    facts = agents.facts_of(COMPONENT, guarding.marks_of(directory, COMPONENT))
    assert facts is not None
    deadline = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + milliseconds * MILLISECOND
    return await guard.arm(COMPONENT, facts, deadline) or "armed"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
