"""Turning a host off and seeing that it is.

The agent's word that `off` worked is not enough: it may mean that the request was accepted. So the device is asked for its status
until it says off. Nor is a status of off enough after an `off` that failed: a program that is broken may end with any code,
2 among them, whatever it is asked. Both have to agree.
"""

import asyncio
from typing import NamedTuple

from holdfast.fencing import running
from holdfast.fencing.device import Device, find_device, power_of
from holdfast.fencing.hiding import shown
from holdfast.fencing.instructing import Refused
from holdfast.fencing.running import Ran, Until
from holdfast.model.events import Ending
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.model.time import SECOND
from holdfast.ports.fencing import Power

HOST_VARIABLE = "HOLDFAST_HOST"  # tells a program of the operator's own which host is meant

_TRIES = 2  # of `off`, while the device says off and the agent says that it failed
_LOOK_AGAIN = 1.0  # seconds between two looks at a host that is still on
_FOR_STATUS = 0.25  # share of the time limit that `off` has to leave for seeing that it worked
_FOR_STATUS_MAX = 15.0  # seconds


class Outcome(NamedTuple):
    """What came of it."""

    ending: Ending
    text: str
    is_late: bool = False


async def power_off(host: HostName, policy: FencePolicy) -> Outcome:
    """Turn the host off and see that it is."""
    seconds = policy.timeout / SECOND
    if policy.command:
        return await _by_command(host, policy.command, seconds)
    try:
        device = find_device(policy, host)
    except Refused as refused:
        return Outcome(Ending.FAILED, str(refused))
    return await _by_agent(device, seconds)


async def _by_command(host: HostName, command: tuple[str, ...], seconds: float) -> Outcome:
    ran = await running.run(command, seconds, variables={HOST_VARIABLE: host})
    said = shown(ran.printed if ran.code == 0 else ran.complained or ran.printed, ())
    text = f"{command[0]} {ran.fault or f'ended with {ran.code}'}" + (f": {said}" if said else "")
    if ran.code == 0:
        return Outcome(Ending.DONE, text)
    is_proven = ran.code is not None or not ran.is_started
    return Outcome(Ending.FAILED if is_proven else Ending.UNKNOWN, text, ran.is_late)


async def _by_agent(device: Device, seconds: float) -> Outcome:
    until = Until(seconds)
    reserve = min(seconds * _FOR_STATUS, _FOR_STATUS_MAX)
    off, status, power = Ran(None), Ran(None), Power.UNKNOWN
    for _ in range(_TRIES):
        off = await device.ask("off", until.left() - reserve)
        if not off.is_started:
            return Outcome(Ending.FAILED, device.said(off))
        status, power = await _settled(device, until, is_expected_off=off.code == 0)
        if power is not Power.OFF or off.code == 0:
            break
        reserve = min(reserve, until.left() * _FOR_STATUS)
    return _judged(device, off, status, power)


async def _settled(device: Device, until: Until, *, is_expected_off: bool) -> tuple[Ran, Power]:
    """Return the device's status; if the host should be off, wait until it says so."""
    status = Ran(None, fault="could not be asked: no time was left", is_late=True)
    power = Power.UNKNOWN
    while until.left():
        status = await device.ask("status", until.left())
        power = power_of(status)
        if power is Power.OFF or not is_expected_off or until.left() <= _LOOK_AGAIN:
            break
        await asyncio.sleep(_LOOK_AGAIN)
    return status, power


def _judged(device: Device, off: Ran, status: Ran, power: Power) -> Outcome:
    was_waited_for = off.code == 0 and power is not Power.OFF
    is_late = off.is_late or status.is_late or was_waited_for
    match power:
        case Power.OFF if off.code == 0:
            return Outcome(Ending.DONE, f"{device.said(off)}; its status then is off")
        case Power.OFF:
            return Outcome(
                Ending.UNKNOWN, f"{device.said(off)}; its status is off, which alone proves nothing", is_late
            )
        case Power.ON:
            return Outcome(Ending.FAILED, f"the host is still on: {device.said(off)}", is_late)
        case Power.UNKNOWN:
            return Outcome(
                Ending.UNKNOWN,
                f"it is not known whether the host is off: {device.said(off)}; then, asked for its status, {device.said(status)}",
                is_late,
            )
