"""What a standby knows of its primary's log, asked over a connection of its own: how old it is follows from that."""

from collections.abc import Awaitable

from holdfast.detect.freshness import Heard
from holdfast.model.ids import ComponentId
from holdfast.model.policy import Managed
from holdfast.model.postgresql import PostgresServer
from holdfast.model.time import Duration
from holdfast.postgresql.asking import local
from holdfast.postgresql.books import instance_of
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.position import parse_lsn

# A message of the primary moves its time of receipt, whatever that clock says. `latest_end_lsn` is where the primary's log ended then.
_HEARD = """
select case when w.status = 'streaming' then w.last_msg_receipt_time end, w.latest_end_lsn, pg_last_wal_replay_lsn(),
  case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end
from (select) n left join pg_stat_wal_receiver w on true
"""


def hear_member(component: ComponentId, server: Managed, within: Duration) -> Awaitable[Heard | str] | None:
    """Return the question to a member of this host; None: it is no PostgreSQL."""
    return hear(instance_of(component, server), within) if isinstance(server, PostgresServer) else None


async def hear(instance: Instance, within: Duration) -> Heard | str:
    """Return what the standby knows of its primary's log; why it does not answer otherwise."""
    try:
        ((row,),) = await ask(local(instance, within), _HEARD, within=within)
    except Unanswered as unanswered:
        return f"{unanswered.fault}: it does not answer"
    message, end, replayed, paused = row
    return Heard(
        message=message or "",
        end=parse_lsn(end) if end else 0,
        replayed=parse_lsn(replayed) if replayed else 0,
        is_paused=paused == "t",
    )
