"""Awaiting what cannot be taken back: a thread that has begun, or a call that is being given up."""

import asyncio
from typing import Any


async def settled(future: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Await its end, however it ends; return that we were cancelled meanwhile, if so."""
    cancelled = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
