"""Why a server does not do what it is asked: its processes, its disk and its startup process are looked at.

Two things are told apart from a failure. A recovery that makes progress is a start, however long it takes; and a server whose
connections are all taken works for those who have them: another one would be as full a moment later.
"""

import time

from holdfast.model.standing import Status
from holdfast.model.time import MINUTE, SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql import postmaster, running
from holdfast.postgresql.asking import Room, Standing, look_at_room
from holdfast.postgresql.faults import Fault, Unanswered, as_doubt
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import Position
from holdfast.postgresql.verdict import Limits, Seen, judge, why_no_room

_RECOVERS_FOR: Duration = MINUTE  # one step of a recovery, a segment of the log, may take so long
_STUCK_FOR: Duration = 10 * SECOND  # a primary commits a row of ours several times in that


class Cause(Value, frozen=True):
    """Why a server does not do what it should."""

    text: str = ""  # empty: it does
    is_progress: bool = False  # it is on its way, and must be left alone
    is_bearable: bool = False  # a warning: another server would not be better, or it serves all the same


class Causing:
    """What is remembered of one life of a server between looks, so that what moves is told from what stands still."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._progress, self._progress_at = "", 0
        self._position, self._message, self._moved_at = Position(), "", 0
        self._replayed, self._replayed_at = 0, 0

    def of_silence(self, unanswered: Unanswered, *, is_standby: bool) -> Cause:
        """Return why there was no answer. A primary that recovers is not waited for: a standby is open already."""
        instance, now = self._instance, time.monotonic_ns()
        progress = running.progress(instance)
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
        seen = Seen(
            postmaster.look(instance),
            doubt=as_doubt(unanswered),
            room=_room(instance),
            progress=progress,
            is_progressing=bool(progress) and now - self._progress_at < _RECOVERS_FOR,
        )
        verdict = judge(seen, Limits())
        is_progress = verdict.status is Status.UNKNOWN and is_standby
        return Cause(verdict.reason, is_progress, is_bearable=unanswered.fault is Fault.FULL)

    def of_primary(self, standing: Standing, *, can_be_replaced: bool) -> Cause:
        """Return what is wrong with a primary that wrote our row, which needs no new block. `can_be_replaced`: by another member."""
        if room := why_no_room(_room(self._instance)):
            alone = "" if can_be_replaced else "; nobody else could serve, so it is left for reading"
            return Cause(f"{room}{alone}", is_bearable=not can_be_replaced)
        if standing.connections >= standing.connections_max > 0:
            taken = f"{standing.connections} of {standing.connections_max} are taken"
            text = f"clients get no connection: {taken}, only reserved ones are left"
            return Cause(f"{text}; another primary would be full as soon", is_bearable=True)
        return Cause()

    async def of_standby(self, standing: Standing, *, has_source: bool, message: str = "") -> Cause:
        """Return what keeps a standby from following. What a restart mends is no warning: it gets one. Unanswered.

        A primary of ours writes all the time. One outside need not: `message` tells when it was last heard, in any words.
        """
        now = time.monotonic_ns()
        if (standing.position, message) != (self._position, self._message) or not has_source:
            self._position, self._message, self._moved_at = standing.position, message, now
        if standing.replayed != self._replayed or standing.replayed >= standing.position.lsn:
            self._replayed, self._replayed_at = standing.replayed, now
        if standing.is_replay_paused:
            if too_small := await running.ask_small_parameters(self._instance):
                return Cause(f"its replay stopped: {too_small}")
            return Cause("its replay is paused: somebody called pg_wal_replay_pause()", is_bearable=True)
        if has_source and now - self._moved_at >= _STUCK_FOR:
            return self._stuck(standing)
        if now - self._replayed_at >= _STUCK_FOR:
            return Cause(
                "it receives, and its replay stands still: a query may hold it back", is_bearable=True
            )
        if room := why_no_room(_room(self._instance)):
            return Cause(room, is_bearable=True)
        return Cause()

    def _stuck(self, standing: Standing) -> Cause:
        stopped = [process for process in postmaster.look(self._instance).others if process.is_stopped]
        if stopped:
            pids = ", ".join(str(process.pid) for process in stopped)
            return Cause(f"it follows no more: its process {pids} is stopped by a signal")
        if standing.upstream:
            return Cause(f"nothing comes from {standing.upstream} any more", is_bearable=True)
        words = running.last_words(self._instance)
        return Cause(f"it cannot stream from its primary: {words or 'see its log'}", is_bearable=True)


def _room(instance: Instance) -> Room | None:
    try:
        return look_at_room(instance)
    except OSError:
        return None
