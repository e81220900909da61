"""Keeping slots on every member: whoever becomes primary has kept what the others still need, and no more than that.

On the primary, standbys move their slots by streaming. On a standby nobody does: its slots are moved to where the primary's
are, as far as it has replayed itself. The primary itself has all that any standby has. So a slot keeps log for its own
member only, and a member that is away holds up both ends alike: `max_slot_wal_keep_size` bounds that.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from holdfast.model.ids import MemberName
from holdfast.model.time import MILLISECOND, SECOND, Duration
from holdfast.postgresql import slots
from holdfast.postgresql.asking import ASK_WITHIN, Standing
from holdfast.postgresql.connecting import ask
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance, slot_name
from holdfast.postgresql.position import Lsn, parse_lsn
from holdfast.postgresql.settings import Upstream, database_of

_EVERY: Duration = 2 * SECOND
_ASIDE_WITHIN: Duration = 200 * MILLISECOND
_KEPT = """
select slot_name, restart_lsn from pg_replication_slots where slot_type = 'physical' and restart_lsn is not null
"""


class SlotKeeping:
    """The care for the slots of one server that runs."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._kept_at, self._kept_as = 0, ""

    async def keep(
        self,
        standing: Standing,
        members: tuple[MemberName, ...],
        upstream: tuple[MemberName | None, Upstream] | None,
        fed_elsewhere: Mapping[MemberName, Upstream] = MappingProxyType({}),
    ) -> None:
        """Make, move and drop slots, every other second and at once in a new role. `upstream`: whom a standby follows.

        `fed_elsewhere`: of who has the role, the standbys that stream from another one, and where that one is.
        """
        now, role = time.monotonic_ns(), "primary" if standing.is_primary else "standby"
        if now - self._kept_at < _EVERY and role == self._kept_as:
            return
        self._kept_at, self._kept_as = now, role
        with suppress(Unanswered):
            there = await slots.ask_slots(self._instance)
            places = {} if upstream is None else await self._places(standing, members, *upstream)
            places |= await self._places_elsewhere(fed_elsewhere)
            changes = slots.plan(
                self._instance.name,
                members,
                there,
                places,
                is_primary=standing.is_primary,
                fed_elsewhere=fed_elsewhere,
            )
            await slots.carry_out(self._instance, changes)

    async def _places(
        self, standing: Standing, members: tuple[MemberName, ...], primary: MemberName | None, at: Upstream
    ) -> dict[MemberName, Lsn]:
        found = await self._ask(at, ASK_WITHIN)
        places = {name: found[slot_name(name)] for name in members if slot_name(name) in found}
        return places if primary is None else {**places, primary: standing.replayed}

    async def _places_elsewhere(self, fed_elsewhere: Mapping[MemberName, Upstream]) -> dict[MemberName, Lsn]:
        """Return how far those are that stream from another standby, as that one knows; it must not keep us waiting."""
        places: dict[MemberName, Lsn] = {}
        for name, at in fed_elsewhere.items():
            with suppress(Unanswered):
                places[name] = (await self._ask(at, _ASIDE_WITHIN)).get(slot_name(name), 0)
        return places

    async def _ask(self, at: Upstream, within: Duration) -> dict[str, Lsn]:
        """Return from where each slot there keeps the log; Unanswered otherwise."""
        (rows,) = await ask(database_of(self._instance, at), _KEPT, within=within)
        return {name or "": parse_lsn(restart or "0/0") for name, restart in rows}
