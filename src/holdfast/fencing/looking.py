"""Looking at a fence device without changing anything: whether it answers, and whether it knows the host."""

from typing import NamedTuple

from holdfast.fencing.device import find_device, find_program, power_of
from holdfast.fencing.instructing import Refused
from holdfast.fencing.running import Until
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.model.time import SECOND
from holdfast.ports.fencing import Power


class Sight(NamedTuple):
    """What was seen."""

    is_ready: bool
    power: Power
    text: str
    is_late: bool = False


async def look_at(host: HostName, policy: FencePolicy) -> Sight:
    """Ask the policy's device how it is, and whether the host is on."""
    until = Until(policy.timeout / SECOND)
    try:
        if policy.command:
            program = find_program(policy.command[0])
            text = f"{program} is there; whether it works shows only when it turns the host off"
            return Sight(is_ready=True, power=Power.UNKNOWN, text=text)
        device = find_device(policy, host)
    except Refused as refused:
        return Sight(is_ready=False, power=Power.UNKNOWN, text=str(refused))
    answer = await device.ask("monitor", until.left())
    if answer.code != 0:
        text = f"the device cannot be reached: {device.said(answer)}"
        return Sight(is_ready=False, power=Power.UNKNOWN, text=text, is_late=answer.is_late)
    answer = await device.ask("status", until.left())
    power = power_of(answer)
    if power is Power.UNKNOWN:
        text = f"the device answers and does not know the host: {device.said(answer)}"
        return Sight(is_ready=False, power=power, text=text, is_late=answer.is_late)
    return Sight(is_ready=True, power=power, text=f"the device answers: the host is {power}")
