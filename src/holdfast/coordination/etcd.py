"""The coordinator on etcd, by its v3 JSON gateway.

Version and token are etcd's own revisions, which only grow, so a condition on them is exact. A session is a lease;
nobody renews it but its owner's `renew`.

What etcd itself does not promise (etcd 3.4 to 3.6): a member that led, was frozen and is thawed may revoke
leases that were renewed all the time through its successor. A lost session is therefore no proof of a dead owner, and
a deadline no fence: the receiver of a command checks the epoch.
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

from holdfast.coordination.clock import now
from holdfast.coordination.etcd_answers import Done, Grant, KeptAlive, Range, Transaction
from holdfast.coordination.etcd_gateway import NOT_FOUND, Account, Gateway, RefusedError
from holdfast.coordination.etcd_watching import ROOT_PREFIX_END, watching
from holdfast.coordination.limits import check_key, check_prefix, check_transaction, check_value
from holdfast.coordination.session_deadline import SessionDeadline, attempt_limit
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.coordination import (
    Abilities,
    Condition,
    ConflictError,
    Entry,
    Expect,
    Guard,
    Session,
    SessionLostError,
    Sighting,
    Snapshot,
    UnavailableError,
    Write,
)

MARGIN = 0.15  # the leader itself answers a renewal, so only clock rates and the way there are given up
TTL_MAX = 9_000_000_000 * SECOND  # etcd's own bound
LIMIT: Duration = 500 * MILLISECOND


class EtcdCoordinator:
    """One client of an etcd ensemble. All keys are below `prefix`."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        prefix: str = "/holdfast",
        limit: Duration = LIMIT,
        account: Account | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._gateway = Gateway(endpoints, limit=limit, account=account, tls=tls)
        self._prefix = prefix
        self._abilities: Abilities | None = None

    async def open_session(self, ttl: Duration) -> "EtcdSession":
        """Open a session: a lease of whole seconds, at least what etcd's settings allow."""
        sent_at, grant = await self._grant(max(1, -(-ttl // SECOND)))
        return EtcdSession(
            self._gateway, self._prefix, grant.ID, SessionDeadline(grant.TTL * SECOND, MARGIN, sent_at)
        )

    async def get(self, key: str) -> Entry | None:
        """Return the key, as a majority knows it."""
        check_key(key)
        found = await self._read("/v3/kv/range", {"key": self._bytes(key)}, Range)
        return found.kvs[0].entry(self._prefix) if found.kvs else None

    async def list(self, prefix: str) -> Snapshot:
        """Return everything below `prefix`, as a majority knew it at one moment."""
        check_prefix(prefix)
        return (await self._list(prefix, within=0))[0]

    async def put(
        self, key: str, value: bytes, *, expect: Expect = Condition.ANY, session: Session | None = None
    ) -> Entry:
        """Write a key under a condition."""
        check_key(key)
        check_value(value)
        write = Write(key, value, session.id if session else None)
        done = await self._transact(
            [Guard(key, expect)], [write], [{"request_range": {"key": self._bytes(key)}}]
        )
        written = done.responses[-1].response_range
        assert written is not None  # the read of the same transaction
        return written.kvs[0].entry(self._prefix)

    async def delete(self, key: str, *, expect: Expect = Condition.ANY) -> None:
        """Delete a key under a condition."""
        check_key(key)
        await self._transact([Guard(key, expect)], [Write(key, None)])

    async def transact(self, guards: Sequence[Guard], writes: Sequence[Write]) -> None:
        """Do all writes if all guards hold, else none."""
        check_transaction(guards, writes)
        await self._transact(guards, writes)

    def watch(self, prefix: str, *, beat: Duration = 2 * SECOND) -> AsyncIterator[Sighting]:
        """Return what happens below `prefix`, beginning with a Snapshot."""
        check_prefix(prefix)

        async def look(within: Duration) -> tuple[Snapshot, int]:
            return await self._list(prefix, within=within)

        return watching(self._gateway, look, self._prefix, prefix, beat)

    async def abilities(self) -> Abilities:
        """Return what the engine can do. The shortest lease is learnt by asking for less."""
        if self._abilities is None:
            _, grant = await self._grant(1)
            await _revoke(self._gateway, grant.ID)
            self._abilities = Abilities("etcd", grant.TTL * SECOND, TTL_MAX, MARGIN)
        return self._abilities

    async def close(self) -> None:
        """Let go of etcd."""
        await self._gateway.close()

    # --- requests -------------------------------------------------------------------------------------

    def _bytes(self, key: str) -> bytes:
        return (self._prefix + key).encode()

    async def _read(self, path: str, body: dict[str, Any], kind: type[Range], within: Duration = 0) -> Range:
        try:
            return await self._gateway.read(path, body, kind, within=within)
        except RefusedError as error:
            raise UnavailableError(str(error)) from None

    async def _grant(self, seconds: int) -> tuple[Instant, Grant]:
        # A lease whose grant nobody heard of ends by itself, so asking again is harmless; but then the answer is not to
        # the request that was sent first, so `sent_at` is taken before all of them, which is the careful side.
        sent_at = now()
        try:
            return sent_at, await self._gateway.read("/v3/lease/grant", {"TTL": seconds}, Grant)
        except RefusedError as error:
            raise UnavailableError(str(error)) from None

    async def _list(self, prefix: str, *, within: Duration) -> tuple[Snapshot, int]:
        # `/a` and `/a/...`, but not `/ab`: one range from `/a` to the end of `/a/`, and what is in between left out.
        begin = self._bytes("/" if prefix == "/" else prefix)
        end = self._bytes("0") if prefix == "/" else self._bytes(prefix) + ROOT_PREFIX_END
        found = await self._read("/v3/kv/range", {"key": begin, "range_end": end}, Range, within)
        entries = [kv.entry(self._prefix) for kv in found.kvs]
        below = prefix.rstrip("/") + "/"
        return (
            Snapshot({e.key: e for e in entries if e.key == prefix or e.key.startswith(below)}),
            found.header.revision,
        )

    async def _transact(
        self, guards: Sequence[Guard], writes: Sequence[Write], reads: Sequence[dict[str, Any]] = ()
    ) -> Transaction:
        body = {
            "compare": [self._compared(g.key, g.expect) for g in guards if g.expect is not Condition.ANY],
            "success": [*(self._operation(write) for write in writes), *reads],
        }
        try:
            done = await self._gateway.write("/v3/kv/txn", body, Transaction)
        except RefusedError as error:
            # Of all that a transaction names, only a lease can be missing.
            if error.code == NOT_FOUND and any(write.session for write in writes):
                raise SessionLostError(str(error)) from None
            raise UnavailableError(str(error)) from None
        if not done.succeeded:
            raise ConflictError(f"not as expected: one of {', '.join(guard.key for guard in guards)}")
        return done

    def _compared(self, key: str, expect: Expect) -> dict[str, Any]:
        base = {"key": self._bytes(key), "result": "EQUAL"}
        if expect is Condition.ABSENT:
            return base | {"target": "CREATE", "create_revision": 0}
        return base | {"target": "MOD", "mod_revision": expect}

    def _operation(self, write: Write) -> dict[str, Any]:
        key = self._bytes(write.key)
        if write.value is None:
            return {"request_delete_range": {"key": key}}
        lease = int(write.session) if write.session else 0
        return {"request_put": {"key": key, "value": write.value, "lease": lease}}


class EtcdSession:
    """A lease."""

    def __init__(self, gateway: Gateway, prefix: str, lease: int, life: SessionDeadline) -> None:
        self._gateway = gateway
        self._prefix = prefix
        self._lease = lease
        self._life = life

    @property
    def id(self) -> str:
        """Return the id of the lease."""
        return str(self._lease)

    @property
    def ttl(self) -> Duration:
        """Return what etcd granted."""
        return self._life.ttl

    @property
    def deadline(self) -> Instant:
        """Return until when the session is surely alive; 0 once it is known to be lost."""
        return self._life.deadline

    async def renew(self) -> None:
        """Renew the lease, and prove that who renewed it may do so.

        A leader that was cut off, or frozen and thawed, says "renewed" for a moment although its successor counts
        on. So a linearizable read follows through the same member: if it is answered in the same term, the leader
        of that term was confirmed by a majority after it had renewed the lease.
        """
        if self._life.is_lost:
            raise SessionLostError(self.id)
        sent_at = now()
        end = sent_at + min(attempt_limit(self._life.budget), self._gateway.patience)
        try:
            alive, endpoint = await self._gateway.read_at(
                "/v3/lease/keepalive", {"ID": self._lease}, KeptAlive, within=end - sent_at
            )
            confirmed = await self._gateway.read_from(
                endpoint, "/v3/kv/range", self._question(), Range, within=max(1, end - now())
            )
        except RefusedError as error:
            raise UnavailableError(str(error)) from None
        if confirmed.header.raft_term != alive.result.header.raft_term:
            raise UnavailableError("the leader changed while it renewed the session")
        if alive.result.TTL <= 0:
            self._life = self._life.lost()
            raise SessionLostError(self.id)
        self._life = self._life.renewed(sent_at)

    async def close(self) -> None:
        """Revoke the lease; if etcd cannot be told, it runs out."""
        self._life = self._life.lost()
        await _revoke(self._gateway, self._lease)

    def _question(self) -> dict[str, Any]:
        # Any key will do, as long as our account may read it.
        return {"key": (self._prefix + "/").encode(), "keys_only": True}


async def _revoke(gateway: Gateway, lease: int) -> None:
    # Revoking twice is harmless, and a lease that cannot be revoked ends by itself.
    try:
        await gateway.read("/v3/lease/revoke", {"ID": lease}, Done)
    except (RefusedError, UnavailableError):
        return
