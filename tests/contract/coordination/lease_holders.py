"""Holders of leases in processes of their own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast.model.ids import Epoch
from holdfast.model.time import SECOND
from tests.contract.coordination.candidates import Candidate
from tests.contract.coordination.stages import Stage
from tests.contract.coordination.staging import WITHIN_S

PROGRAM = Path(__file__).with_name("lease_holder.py")


class LeaseHolder(Candidate):
    """One such process."""

    async def take(self) -> None:
        """Have it try to take the lease."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()

    async def answered(self) -> dict[str, Any]:
        """Return the next line, whatever it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            return dict(json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def lease_holder(stage: Stage, host: str, after_epoch: Epoch) -> AsyncIterator[LeaseHolder]:
    assert stage.url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        stage.url,
        stage.root,
        str(stage.ttl / SECOND),
        host,
        str(after_epoch),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield LeaseHolder(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
