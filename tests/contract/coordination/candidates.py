"""Candidates in processes of their own."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from holdfast.coordination.clock import now
from holdfast.model.time import SECOND, Instant
from tests.contract.coordination.stages import Stage
from tests.contract.coordination.staging import WITHIN_S

PROGRAM = Path(__file__).with_name("candidate.py")


class Candidate:
    """One such process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self, what: str) -> dict[str, Any]:
        """Return the next line, which must say this."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            line = json.loads(await self._process.stdout.readline())
        assert line["is_"] == what, line
        return dict(line)

    def signal(self, number: signal.Signals) -> Instant:
        self._process.send_signal(number)
        return now()


@asynccontextmanager
async def candidate(stage: Stage, name: str) -> AsyncIterator[Candidate]:
    assert stage.url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        stage.url,
        f"{stage.root}/election",
        str(stage.ttl / SECOND),
        name,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Candidate(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
