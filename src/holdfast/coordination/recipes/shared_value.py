"""A shared value: configuration that many read, and that is changed only by who has seen the latest version."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from random import Random

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.pausing import Pauses
from holdfast.coordination.recipes.seats import BEAT_MAX
from holdfast.coordination.recipes.viewing import views
from holdfast.ports.coordination import Condition, ConflictError, Coordinator, Entry, Expect, UnknownError

CHANGES_TRIED_MAX = 100


class SharedValue:
    """One key, changed by compare-and-swap."""

    def __init__(self, coordinator: Coordinator, key: str, *, chance: Random) -> None:
        check_key(key)
        self._coordinator = coordinator
        self._chance = chance
        self.key = key

    async def get(self) -> Entry | None:
        """Return the value and its version; None if it was never set."""
        return await self._coordinator.get(self.key)

    async def set(self, value: bytes, *, expect: Expect) -> Entry:
        """Set the value if its version is still `expect`; ConflictError otherwise.

        UnknownError if there was no answer and another version stands there now: it may be ours and it may be
        somebody else's with the same bytes, and only the caller knows whether that is the same.
        """
        try:
            return await self._coordinator.put(self.key, value, expect=expect)
        except UnknownError:
            entry = await self._coordinator.get(self.key)
            if expect is Condition.ANY or not _is_still(entry, expect):
                raise
        # Nothing has happened so far. If the lost request arrives after all, this one conflicts, and so is harmless.
        try:
            return await self._coordinator.put(self.key, value, expect=expect)
        except ConflictError as error:
            raise UnknownError(f"{self.key} was changed, by us or by somebody else") from error

    async def change(self, successor: Callable[[bytes | None], bytes]) -> Entry:
        """Set what `successor` makes of the present value, however many do so at once; none is lost.

        It may be called several times, so it should do nothing else. UnknownError as for `set`.
        """
        pauses = Pauses(self._chance)
        for _ in range(CHANGES_TRIED_MAX):
            entry = await self.get()
            expect: Expect = entry.version if entry else Condition.ABSENT
            try:
                return await self.set(successor(entry.value if entry else None), expect=expect)
            except ConflictError:
                await pauses.pause()
        raise ConflictError(f"{self.key}: {CHANGES_TRIED_MAX} others were quicker each time")

    async def changes(self) -> AsyncGenerator[Entry | None, None]:
        """Return the value, again with each change; UnavailableError when it cannot be known."""
        is_first, last = True, None
        async with aclosing(views(self._coordinator, self.key, BEAT_MAX)) as seen:
            async for view in seen:
                entry = view.get(self.key)
                if is_first or entry != last:
                    is_first, last = False, entry
                    yield entry


def _is_still(entry: Entry | None, expect: Expect) -> bool:
    return entry is None if expect is Condition.ABSENT else entry is not None and entry.version == expect
