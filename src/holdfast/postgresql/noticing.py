"""What an operator should know of a server that serves: parameters that wait for a restart, are overridden, or not understood."""

import time
from collections.abc import Mapping
from contextlib import suppress

from holdfast.model.postgresql import OWN_PARAMETERS
from holdfast.model.time import SECOND, Duration
from holdfast.postgresql.asking import ASK_WITHIN, local
from holdfast.postgresql.connecting import Row, ask
from holdfast.postgresql.control import HOT_STANDBY_PARAMETERS
from holdfast.postgresql.faults import Unanswered
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.settings import FOREIGN, PENDING, WRONG

_EVERY: Duration = 5 * SECOND
_CURRENT = "select name, setting from pg_settings where name = any($1::text[])"


class Noticing:
    """The notes about one life of a server."""

    def __init__(self, instance: Instance, parameters: Mapping[str, str]) -> None:
        """`parameters` are those that the operator wants."""
        self._instance = instance
        self._wanted = parameters
        self._asked_at = 0
        self.note = ""

    async def look(self) -> str:
        """Return what there is to know, asked every few seconds; what was known where there is no answer."""
        now = time.monotonic_ns()
        if not self._asked_at or now - self._asked_at >= _EVERY:
            self._asked_at = now
            with suppress(Unanswered):
                self.note = await ask_notes(self._instance, self._wanted)
        return self.note


async def ask_notes(instance: Instance, wanted: Mapping[str, str]) -> str:
    """Return what there is to know of the server's parameters; empty: nothing. Unanswered."""
    managed = _names({*OWN_PARAMETERS, *wanted})
    pending, foreign, wrong, current = await ask(
        local(instance, ASK_WITHIN),
        PENDING,
        (FOREIGN, (managed,)),
        WRONG,
        (_CURRENT, (_names(HOT_STANDBY_PARAMETERS),)),
        within=ASK_WITHIN,
    )
    notes = [
        f"{name} waits for a restart: it is {current}, and will be {file}" for name, current, file in pending
    ]
    notes += [f"ALTER SYSTEM set {row[0]}, which wins over holdfast.yaml: reset it" for row in foreign]
    notes += [f"not understood: {row[0]}" for row in wrong]
    return "; ".join((*notes, *_kept_high(current, wanted)))


def _kept_high(current: list[Row], wanted: Mapping[str, str]) -> list[str]:
    """Return which parameters cannot come down: each start is a standby's, and needs what its log was written with."""
    return [
        f"{name} stays {value} though {least} is wanted: a standby needs what its primary had"
        for name, value in current
        if (least := wanted.get(name or "", "")).isdecimal() and int(least) < int(value or 0)
    ]


def _names(names: set[str] | Mapping[str, str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
