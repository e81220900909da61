"""What stands below a path, kept up to date by a watch."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from holdfast.model.time import Duration
from holdfast.ports.coordination import Beat, Change, Coordinator, Entry, Sighting, Snapshot


async def views(
    coordinator: Coordinator, path: str, beat: Duration
) -> AsyncGenerator[dict[str, Entry], None]:
    """Return everything below `path`, again after each sighting. Each is a copy of its own."""
    entries: dict[str, Entry] = {}
    # A generator behind every driver: closed here, a watch ends with its reader and not at some later time.
    watch = cast("AsyncGenerator[Sighting, None]", coordinator.watch(path, beat=beat))
    async with aclosing(watch) as sightings:
        async for sighting in sightings:
            match sighting:
                case Snapshot():
                    entries = dict(sighting.entries)
                case Change(kind="put", entry=entry):
                    entries[entry.key] = entry
                case Change(entry=entry):
                    entries.pop(entry.key, None)
                case Beat():
                    pass
            yield dict(entries)
