"""Recovery to a point in time, once, before anybody may look: the second half of a bootstrap from a backup."""

import asyncio
import time

from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.postgresql.asking import ask_standing
from holdfast.postgresql.faults import Fault, Unanswered
from holdfast.postgresql.files import make_beside
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.postmaster import runs
from holdfast.postgresql.running import NotStarted, Spawner, command, last_words, stop

_DENIALS_MAX = 3  # in a row
_LOOK_AGAIN = 50 * MILLISECOND
_STOP_WITHIN = 60 * SECOND


async def recover_to_target(instance: Instance, spawner: Spawner, within: Duration) -> str:
    """Run the recovery that recovery.signal asks for to its end, then stop; return what went wrong, nothing if nothing.

    It listens on our own socket only. What the user's command set as the target holds; the action at the target is to
    promote, as the data is to become a primary's.
    """
    make_beside(instance)
    private = {
        "listen_addresses": "",
        "port": str(instance.port),
        "unix_socket_directories": str(instance.beside),
        "hot_standby": "on",
        "recovery_target_action": "promote",
        "synchronous_standby_names": "",
        "archive_mode": "off",
    }
    options = [part for name, value in private.items() for part in ("-c", f"{name}={value}")]
    try:
        pid = await spawner(instance, (*command(instance), *options))
    except NotStarted as error:
        return str(error)
    problem = await _until_recovered(instance, pid, time.monotonic_ns() + within)
    stopped = await stop(instance, _STOP_WITHIN)
    return problem or ("" if stopped.is_over else "the server could not be stopped after it")


async def _until_recovered(instance: Instance, pid: int, end: int) -> str:
    denials = 0
    while True:
        if not runs(pid):
            return f"the server ended before the target was reached: {last_words(instance) or 'see its log'}"
        try:
            if (await ask_standing(instance)).is_primary:
                return ""
        except Unanswered as unanswered:
            # A server that opens in this very moment may answer each of our two looks in another way.
            denials = denials + 1 if unanswered.fault is Fault.DENIED else 0
            if denials >= _DENIALS_MAX:
                return f"we are not let in: {unanswered}"
        if time.monotonic_ns() >= end:
            return "it did not reach its target in time"
        await asyncio.sleep(_LOOK_AGAIN / SECOND)
