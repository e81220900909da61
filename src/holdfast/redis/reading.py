"""What a standby knows of its primary's stream of writes, asked over a connection of its own: how old it is follows from that."""

from holdfast.detect.freshness import Heard
from holdfast.model.time import Duration
from holdfast.redis.asking import Unanswered, Where, ask, fields_of, whole


async def hear(where: Where, within: Duration) -> Heard | str:
    """Return how much of the stream the standby has read and applied; why it does not answer otherwise.

    A primary that holdfast looks after writes twice a second, so what was read moves as long as the stream does.
    """
    try:
        (told,) = await ask(where, ("INFO", "replication"), within=within)
    except Unanswered as unanswered:
        return f"{unanswered.fault}: it does not answer"
    fields = fields_of(told)
    applied = whole(fields.get("slave_repl_offset"))
    read = whole(fields.get("slave_read_repl_offset")) or applied  # Redis before 7 does not tell them apart
    is_streaming = fields.get("master_link_status") == "up" and fields.get("master_sync_in_progress") == "0"
    return Heard(message=str(read) if is_streaming else "", end=read, replayed=applied)
