"""Rewinding: a log that went its own way becomes the beginning of the new primary's again.

Three questions come first. Is it needed at all: does our log go past the place where the source's timeline left
ours? Is it possible: checksums or hint log, a clean shutdown? Is the source ready: has it written a checkpoint on
its new timeline, without which pg_rewind decides wrongly? What cannot be rewound is cloned.
"""

import re
from enum import StrEnum
from pathlib import Path

from holdfast.model.time import HOUR, MINUTE, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql import files
from holdfast.postgresql.asking import ask_history
from holdfast.postgresql.bootstrap import NotDone
from holdfast.postgresql.connecting import ask, conninfo
from holdfast.postgresql.control import Control, State, Unreadable, read_control
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import History, Lsn, parse_lsn, show_lsn
from holdfast.postgresql.postmaster import look
from holdfast.postgresql.programs import run
from holdfast.postgresql.settings import Upstream, configuration_files, database_of, walsender_of
from holdfast.postgresql.single_user import recover_alone

_ASK_WITHIN = 5 * SECOND
_WAS_PRIMARY = {State.IN_PRODUCTION, State.SHUTTING_DOWN, State.IN_CRASH_RECOVERY, State.SHUT_DOWN}
_END = re.compile(r"at ([0-9A-F]+/[0-9A-F]+)")


class Way(StrEnum):
    """How a member comes back under its new primary."""

    STREAM = "stream"  # its log is the beginning of the primary's: start it
    REWIND = "rewind"
    CLONE = "clone"
    WAIT = "wait"  # the source is not ready
    REFUSE = "refuse"  # the data is another system's: never touched


class Advice(Value, frozen=True):
    """Which way, and why."""

    way: Way
    why: str


async def advise(instance: Instance, source: Upstream, system: str, *, may_recover: bool = False) -> Advice:
    """Return how the stopped instance can follow `source`, the primary of `system`.

    A former primary that crashed is recovered on the way: only then it is known how far its log goes. `may_recover`: the source
    has the role and follows a server outside. Nobody rewinds against it: it has not the roles for that.
    """
    assert not look(instance).everything, "it has to be stopped first"
    if (work := files.unfinished(instance)) is not None:
        return Advice(Way.CLONE, f"a {work.work} of its data began and did not end")
    try:
        control = await read_control(instance)
    except Unreadable as error:
        return Advice(Way.CLONE, f"its data cannot be used: {error}")
    if control.system != system:
        return Advice(Way.REFUSE, f"its data is of system {control.system}, not of {system}")
    try:
        theirs, primary, history = await ask_history(walsender_of(instance, source), _ASK_WITHIN)
        checkpointed = await _ask_checkpointed(instance, source)
    except Unanswered as unanswered:
        return Advice(Way.WAIT, f"{source.host}:{source.port} does not answer: {unanswered}")
    if theirs != system:
        return Advice(Way.REFUSE, f"{source.host}:{source.port} is of system {theirs}, not of {system}")
    if (instance.folder / "backup_label").exists():
        return Advice(Way.STREAM, "it is a copy that was not started yet")
    if checkpointed is None and not may_recover:
        return Advice(Way.WAIT, "the source is no primary")
    if control.position.timeline == primary.timeline and control.state is not State.IN_PRODUCTION:
        return Advice(Way.STREAM, f"it is on timeline {primary.timeline} already")
    if (checkpointed or primary.timeline) < primary.timeline:
        return Advice(Way.WAIT, f"the source has no checkpoint on timeline {primary.timeline} yet")
    return await _compare(instance, control, history, can_rewind=checkpointed is not None)


async def _compare(instance: Instance, control: Control, history: History, *, can_rewind: bool) -> Advice:
    if control.state in _WAS_PRIMARY and not control.state.is_clean:
        done = await recover_alone(instance)
        if not done.is_good:
            return Advice(Way.CLONE, f"it cannot be recovered: {done.last_words}")
        control = await read_control(instance)
    # A standby's last checkpoint may be of a timeline that it has left since.
    timeline = control.position.timeline
    if timeline == history.timeline:
        return Advice(Way.CLONE, f"it took writes on timeline {timeline}, which is its source's")
    left = history.left(timeline)
    if left is not None and await _is_beginning(instance, control, left):
        return Advice(Way.STREAM, f"its log ends before timeline {timeline} was left at {show_lsn(left)}")
    where = "nowhere" if left is None else f"at {show_lsn(left)}"
    why = f"its log on timeline {timeline} goes past where timeline {history.timeline} left it, {where}"
    if not can_rewind:
        return Advice(Way.CLONE, f"{why}; its source is no primary, against which it could be rewound")
    if not control.is_rewindable:
        return Advice(Way.CLONE, f"{why}; without checksums or wal_log_hints it cannot be rewound")
    return Advice(Way.REWIND, why)


async def _is_beginning(instance: Instance, control: Control, left: Lsn) -> bool:
    """Tell whether nothing of the log goes past `left`, where the timeline that it ends on was left.

    A former primary's last record is its shutdown checkpoint. Timelines leave at the end of a record, so one that begins
    before that place also ends before it. A standby has replayed up to a place, and may have received more.
    """
    if control.state is State.SHUT_DOWN:
        return control.checkpoint < left
    if control.position.lsn > left:
        return False
    return await end_of_log(instance, control) <= left


async def end_of_log(instance: Instance, control: Control) -> Lsn:
    """Return where the log in pg_wal ends, replayed or not; where it surely is, if that cannot be found out.

    On the timeline that was replayed last: what was received of a later one came from its primary, and begins where that left ours.
    """
    begin = max(control.redo, min(control.recovery_end.lsn or control.redo, control.checkpoint))
    if control.position.timeline != control.timeline:
        begin = control.position.lsn
    command = (
        instance.program("pg_waldump"),
        *(
            "-p",
            str(instance.folder / "pg_wal"),
            "-t",
            str(control.position.timeline),
            "-s",
            show_lsn(begin),
            "--quiet",
        ),
    )
    done = await run(instance, command, within=10 * MINUTE)
    found = _END.findall(done.output)
    return max(control.position.lsn, parse_lsn(found[-1])) if found else control.position.lsn


async def rewind(instance: Instance, source: Upstream, *, within: Duration = HOUR) -> Control:
    """Make the instance's log a beginning of the source's again; NotDone otherwise, and then it has to be cloned.

    It must not run. What is lost is what only it had. Files of the configuration are this member's own, and are put back.
    """
    control = await read_control(instance)
    try:
        _, primary, _ = await ask_history(walsender_of(instance, source), _ASK_WITHIN)
    except Unanswered as unanswered:
        raise NotDone(f"{source.host}:{source.port} does not answer: {unanswered}") from None
    # A recovery writes a record of its own at the end of its log. On its source's timeline that would be another story under the
    # same number: pg_rewind sees no difference, and the member would wait for ever for what comes after its own record.
    if control.position.timeline == primary.timeline:
        raise NotDone(f"it has log of its source's timeline {primary.timeline} already")
    # A standby's surplus that it received and did not replay is not seen by pg_rewind: after a recovery it is.
    if control.state is not State.SHUT_DOWN:
        done = await recover_alone(instance)
        if not done.is_good:
            raise NotDone(f"it cannot be recovered: {done.last_words}")
    own = {
        path: path.read_text("utf-8", "replace") for path in configuration_files(instance) if path.exists()
    }
    files.begin(instance, "rewind", f"against {source.host}:{source.port}")
    archive = await _archive_option(instance)
    target = ("-D", instance.data, "--source-server", _rewinder(instance, source))
    done = await run(
        instance,
        (instance.program("pg_rewind"), *target, *archive),
        within=within,
        variables={"PGPASSFILE": str(instance.passwords)},
    )
    for path, text in own.items():
        files.write_file(instance, path, text)
    if not done.is_good or "no rewind required" in done.output:
        raise NotDone(f"pg_rewind: {done.last_words}")
    _forget_marks(instance.folder)
    files.finish(instance)
    return await read_control(instance)


async def _archive_option(instance: Instance) -> tuple[str, ...]:
    """Let pg_rewind fetch old segments from the archive where there is one. It looks into the data for the command."""
    if instance.config:
        return ()
    question = (instance.program("postgres"), "-D", instance.data, "-C", "restore_command")
    done = await run(instance, question, within=10 * SECOND)
    return ("--restore-target-wal",) if done.is_good and done.output.strip() else ()


def _forget_marks(folder: Path) -> None:
    """Slots and signals of the source came along: they are not ours."""
    (folder / "standby.signal").unlink(missing_ok=True)
    (folder / "recovery.signal").unlink(missing_ok=True)


def _rewinder(instance: Instance, source: Upstream) -> str:
    return conninfo(
        host=source.host,
        port=source.port,
        user=instance.rewinder,
        dbname=instance.database,
        connect_timeout=5,
        application_name="holdfast_rewind",
    )


async def _ask_checkpointed(instance: Instance, source: Upstream) -> int | None:
    """Return on which timeline the source wrote its last checkpoint; None: it is a standby."""
    question = "select pg_is_in_recovery(), timeline_id from pg_control_checkpoint()"
    ((row,),) = await ask(database_of(instance, source), question, within=_ASK_WITHIN)
    return None if row[0] == "t" else int(row[1] or 0)
