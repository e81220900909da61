"""Opening a connection to a database of whatever kind."""

from tests.lab.database_sessions import Session, Where, open_postgresql
from tests.lab.redis_sessions import open_redis


async def open_session(kind: str, where: Where) -> Session:
    """Connect. Nothing was sent that could have been done if it raises `NotDone`."""
    return await (open_redis(where) if kind == "redis" else open_postgresql(where))
