"""What is done to one server: told whom to follow, promoted, and brought to hand over without losing a write."""

import asyncio
from contextlib import suppress

from holdfast.model.ids import Epoch
from holdfast.model.redis import RedisServer
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.redis.asking import Fault, Stamp, Standing, Unanswered, Where, ask, ask_standing
from holdfast.redis.resp import Answer
from holdfast.redis.settings import NOBODY

_LOOK_AGAIN_S = 0.01
_WITHIN: Duration = 2 * SECOND
_CLOSED = 2_147_483_647  # standbys that a write would need: nobody has so many


async def follow(where: Where, upstream: tuple[str, int] | None, within: Duration = _WITHIN) -> None:
    """Have it follow `upstream`, or stand still. Unanswered if it does not."""
    await ask(where, ("REPLICAOF", *(upstream or NOBODY)), within=within)


async def promote(
    where: Where, server: RedisServer, stamp_key: str, epoch: Epoch, within: Duration = _WITHIN
) -> Standing:
    """Make a standby that stands still primary, and return how it is. Unanswered if it does not come to that.

    The stamp is in its data before any client's write is: all that is acknowledged under `epoch` is told from what was
    written before. So it is closed for writes first, and opened, stamped and limited to its standbys in one piece. A full memory must not
    keep the stamp out, or nobody could ever be promoted.
    """
    standing = await ask_standing(where, stamp_key, within)
    limit = await ask(where, ("CONFIG", "GET", "maxmemory"), within=within)
    await ask(
        where,
        ("CONFIG", "SET", "min-replicas-to-write", _CLOSED),
        ("REPLICAOF", "NO", "ONE"),
        ("CONFIG", "SET", "maxmemory", 0),
        ("CONFIG", "SET", "min-replicas-to-write", 0),
        ("SET", stamp_key, Stamp(epoch, standing.place).text()),
        ("CONFIG", "SET", "maxmemory", _setting(limit[0])),
        ("CONFIG", "SET", "min-replicas-to-write", server.min_replicas_to_write),
        within=within,
    )
    found = await ask_standing(where, stamp_key, within)
    if not found.is_primary or found.stamp is None or found.stamp.epoch != epoch:
        raise Unanswered(
            Fault.OTHER, "it was promoted, and is no primary: somebody else tells it whom to follow"
        )
    return found


async def hand_over(where: Where, standbys: tuple[Where, ...], stamp_key: str, within: Duration) -> str:
    """Stop a primary's writes, await that a standby has every one of them, and have it stand still.

    Return in words what was not reached; a standby then lacks what it lacks, which its promotion will notice. Writes that wait are not
    lost: the server holds them, and refuses them when it is a standby. Unanswered if it does not step back.
    """
    await ask(where, ("CLIENT", "PAUSE", (within + 2 * SECOND) // MILLISECOND, "WRITE"))
    try:
        lacking = await _until_equal(where, standbys, stamp_key, within)
    finally:
        # Only what was a standby's before may be taken for acknowledged: so it steps back before anything is let on again.
        await ask(where, ("REPLICAOF", *NOBODY), ("CLIENT", "UNPAUSE"), ("CLIENT", "KILL", "TYPE", "normal"))
    return lacking


async def _until_equal(where: Where, standbys: tuple[Where, ...], stamp_key: str, within: Duration) -> str:
    if not standbys:
        return "no standby follows it"
    lacks = "no standby answers"
    try:
        async with asyncio.timeout(within / SECOND):
            while True:
                own = await ask_standing(where, stamp_key)
                for standby in standbys:
                    with suppress(Unanswered):
                        found = await ask_standing(standby, stamp_key)
                        if found.is_following and found.place >= own.place and found.stamp == own.stamp:
                            return ""
                        lacks = f"{own.place - found.place} bytes are lacking"
                await asyncio.sleep(_LOOK_AGAIN_S)
    except TimeoutError:
        return lacks


def _setting(told: Answer) -> str:
    value = told[1] if isinstance(told, list) and len(told) == 2 else b"0"
    return value.decode() if isinstance(value, bytes) else "0"
