"""Cloning: a copy of another member's data takes the place of ours, whole or not at all.

The copy is made beside the old data, which stays where it is until the copy is complete; then the two change places. So a
clone that fails, or an agent that dies in the middle, costs nothing but time.
"""

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.model.time import HOUR, SECOND, Duration
from holdfast.model.value import Value, replace
from holdfast.postgresql import files
from holdfast.postgresql.asking import look_at_room
from holdfast.postgresql.bootstrap import NotDone
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.control import Control, Unreadable, read_control
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.postmaster import look
from holdfast.postgresql.programs import Done, run
from holdfast.postgresql.settings import Upstream, database_of, slot_on, user_on, walsender_of

Progress = Callable[[int], None]  # told how many of a hundred parts are done

SPARE = 0.05  # share of the size that has to stay free beside it: the log goes on while it is copied
_ASK_WITHIN = 5 * SECOND
_DUPLICATE = "42710"
_PERCENT = re.compile(r"\((\d+)%\)")
_USERS_FILES = ("postgresql.conf", "pg_hba.conf", "pg_ident.conf")


class Manner(Value, frozen=True):
    """How copies are made.

    `methods` are a user's commands, tried in order; pg_basebackup comes last. Each finds HOLDFAST_DATA (where to write),
    HOLDFAST_SOURCE_HOST, HOLDFAST_SOURCE_PORT and HOLDFAST_PROGRAMS in its environment.
    """

    methods: tuple[tuple[str, ...], ...] = ()
    options: tuple[str, ...] = ()  # more for pg_basebackup, such as --max-rate=50M
    has_slot: bool = True  # the source keeps what the copy will need, in the member's own slot
    keep_old: bool = False  # the data that was replaced stays beside it
    within: Duration = 24 * HOUR


async def clone(
    instance: Instance,
    source: Upstream,
    system: str,
    manner: Manner = Manner(),  # noqa: B008 - a frozen value
    on_progress: Progress | None = None,
) -> Control:
    """Replace the data by a copy of `source`'s, whose identifier has to be `system`; NotDone otherwise."""
    _refuse(instance)
    copy = replace(instance, data=f"{instance.data}.clone", config="")
    await _remove(copy.folder)
    await _refuse_small_room(instance, source)
    if manner.has_slot and slot_on(instance, source):
        await make_slot(instance, source)
    reasons = []
    for method in (*manner.methods, ()):
        copy.folder.mkdir(mode=0o700)
        files.give_to_owner(instance, copy.folder)
        done = await _copy(instance, copy, source, (method, manner), on_progress)
        try:
            if not done.is_good:
                raise NotDone(done.last_words or f"it ended with {done.code}")
            await _check(copy, system)
            return await _exchange(instance, copy, keep_old=manner.keep_old)
        except NotDone as error:
            reasons.append(f"{method[0] if method else 'pg_basebackup'}: {error}")
            await _remove(copy.folder)
    raise NotDone("; ".join(reasons))


async def _copy(
    instance: Instance,
    copy: Instance,
    source: Upstream,
    how: tuple[Sequence[str], Manner],
    on_progress: Progress | None,
) -> Done:
    method, manner = how
    variables = {
        "HOLDFAST_DATA": copy.data,
        "HOLDFAST_SOURCE_HOST": source.host,
        "HOLDFAST_SOURCE_PORT": str(source.port),
        "HOLDFAST_PROGRAMS": instance.programs,
        "PGPASSFILE": str(instance.passwords),
    }
    name = slot_on(instance, source) if manner.has_slot else ""
    slot = ("--slot", name) if name else ()
    command = method or (
        instance.program("pg_basebackup"),
        *("-D", copy.data, "-h", source.host, "-p", str(source.port), "-U", user_on(instance, source)),
        *("--no-password", "--wal-method=stream", "--checkpoint=fast", "--progress", *slot, *manner.options),
    )

    def on_line(line: str) -> None:
        if on_progress is not None and (match := _PERCENT.search(line)) is not None:
            on_progress(int(match[1]))

    return await run(instance, command, within=manner.within, variables=variables, on_line=on_line)


async def _check(copy: Instance, system: str) -> None:
    try:
        control = await read_control(copy)
    except Unreadable as error:
        raise NotDone(f"what it made is no data directory: {error}") from None
    if control.system != system:
        raise NotDone(f"it copied another system, {control.system} instead of {system}")


async def _exchange(instance: Instance, copy: Instance, *, keep_old: bool) -> Control:
    """Put the copy into the old data's place. In between, the mark says that there may be none."""
    for name in _USERS_FILES:  # what the operator wrote for this member stays this member's
        old, new = instance.folder / name, copy.folder / name
        if old.exists() and not instance.is_empty:
            files.write_file(instance, new, old.read_text("utf-8", "replace"), old.stat().st_mode & 0o777)
    files.begin(instance, "clone")
    aside = files.set_aside(instance)
    copy.folder.rename(instance.folder)
    files.finish(instance)
    if aside is not None and not keep_old:
        await _remove(aside)
    return await read_control(instance)


def _refuse(instance: Instance) -> None:
    if look(instance).everything:
        raise NotDone("the server still runs")
    if not files.is_movable(instance):
        raise NotDone(
            f"{instance.data} is a mount point: name a folder below it, so that it can be replaced whole"
        )
    if not instance.folder.parent.is_dir():
        raise NotDone(f"{instance.folder.parent} does not exist; create it")


async def _refuse_small_room(instance: Instance, source: Upstream) -> None:
    """The old data stays until the copy is there, so there has to be room for both."""
    try:
        ((row,),) = await ask(
            database_of(instance, source),
            "select sum(pg_database_size(oid)) from pg_database",
            within=_ASK_WITHIN,
        )
    except Unanswered:
        return  # it is a courtesy: without it the copy fails later, and nothing is lost by that
    size = int(row[0] or 0)
    room = look_at_room(replace(instance, data=str(instance.folder.parent)))
    if room.free < size * (1 + SPARE):
        raise NotDone(
            f"not enough room: the copy takes {size >> 20} MiB, {room.free >> 20} MiB are free beside the old data"
        )


async def make_slot(instance: Instance, source: Upstream) -> None:
    """Make the slot on `source`, so that it keeps what the copy will need; NotDone otherwise."""
    try:
        await ask(
            walsender_of(instance, source),
            f"CREATE_REPLICATION_SLOT {slot_on(instance, source)} PHYSICAL RESERVE_WAL",
            within=_ASK_WITHIN,
        )
    except Unanswered as unanswered:
        if unanswered.sqlstate != _DUPLICATE:
            raise NotDone(f"{source.host}:{source.port} gives no slot: {unanswered}") from None


async def _remove(folder: Path) -> None:
    await asyncio.to_thread(_remove_tree, folder)


def _remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
