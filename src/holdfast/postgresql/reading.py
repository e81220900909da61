"""Whether a standby may be read from: it is asked over a connection of its own how much it has replayed, and what it was told."""

from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.reading import ReadPolicy
from holdfast.model.time import Duration, Instant
from holdfast.postgresql.asking import local
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.freshness import Freshness, Heard
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import parse_lsn

# A message of the primary moves its time of receipt, whatever that clock says. `latest_end_lsn` is where the primary's log ended then.
_HEARD = """
select case when w.status = 'streaming' then w.last_msg_receipt_time end, w.latest_end_lsn, pg_last_wal_replay_lsn(),
  case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end
from (select) n left join pg_stat_wal_receiver w on true
"""


async def ask_heard(instance: Instance, within: Duration) -> Heard:
    """Return what the standby knows of its primary's log; Unanswered otherwise."""
    ((row,),) = await ask(local(instance, within), _HEARD, within=within)
    message, end, replayed, paused = row
    return Heard(
        message=message or "",
        end=parse_lsn(end) if end else 0,
        replayed=parse_lsn(replayed) if replayed else 0,
        is_paused=paused == "t",
    )


class Reader:
    """One life of one standby, asked again and again."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._freshness = Freshness()
        self._began: Instant = 0
        self._is_fine = True

    async def look(self, rules: ReadPolicy, within: Duration, now: Instant) -> Observation | None:
        """Return whether it may be read from, asked at `now`; None: it was not heard of for long enough to know."""
        self._began = self._began or now
        try:
            self._freshness = self._freshness.after(await ask_heard(self._instance, within), now)
        except Unanswered as unanswered:
            why = f"{unanswered.fault}: it does not answer"
        else:
            if not self._freshness.heard_at and now - self._began < rules.delay_max:
                return None
            why = self._freshness.why_stale(rules, now, was_fine=self._is_fine)
        self._is_fine = not why
        if why:
            return Observation(Outcome.FAILED, Layer.CONTENT, Failure.STATUS, 0, now, why)
        return Observation(Outcome.PASSED, Layer.CONTENT, Failure.NONE, 0, now)
