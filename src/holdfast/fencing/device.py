"""One fence agent, and what it says of the device behind it.

The words are those of the FenceAgentAPI that Pacemaker speaks too: `off` ends with 0 when it is done; `status` with 0 for
on and 2 for off; `monitor` with 0 when the device answers; anything else is a failure, and a time limit that passed is one too.
"""

import shutil
from pathlib import PurePath

from holdfast.fencing import running
from holdfast.fencing.hiding import shown
from holdfast.fencing.instructing import Instructions, Refused, instruct
from holdfast.fencing.running import Ran
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.ports.fencing import Power

PACKAGES = "fence-agents"  # Debian 12 has one package for all

_AGENTS = "fence_"  # what the names of all of them begin with

_STATUS = {0: Power.ON, 2: Power.OFF}


class Device:
    """A fence agent with its options."""

    def __init__(self, program: str, instructions: Instructions) -> None:
        self.name = PurePath(program).name
        self._program = program
        self._instructions = instructions

    async def ask(self, action: str, within: float) -> Ran:
        """Have the agent carry out `action`, within so many seconds."""
        return await running.run([self._program], within, told=self._instructions.to(action))

    def said(self, ran: Ran) -> str:
        """Return what came of it in one line, without secrets."""
        output = (ran.complained or ran.printed) if ran.code != 0 else (ran.printed or ran.complained)
        text = shown(output, self._instructions.hidden)
        how = ran.fault or f"ended with {ran.code}"
        return f"{self.name} {how}" + (f": {text}" if text else "")


def find_device(policy: FencePolicy, host: HostName = "") -> Device:
    """Return the policy's fence agent, ready to be asked about `host`; Refused if it is not there or cannot be told its options."""
    return Device(find_program(policy.agent), instruct(policy, host))


def find_program(program: str) -> str:
    """Return the path of a fence agent or another program; Refused, with what to install, if there is none."""
    found = shutil.which(program, path=running.search_path())
    if found is not None:
        return found
    if "/" in program or not program.startswith(_AGENTS):
        raise Refused(f"{program} is not there, or is no program that may be run")
    raise Refused(f"{program} is not installed on this host: apt-get install {PACKAGES}")


def power_of(status: Ran) -> Power:
    """Return what an answer to `status` says."""
    return Power.UNKNOWN if status.code is None else _STATUS.get(status.code, Power.UNKNOWN)
