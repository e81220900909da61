"""The drivers of real ensembles: three servers each, shared by all tests; each test has a prefix of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast.coordination.address import connect
from holdfast.model.time import SECOND
from holdfast.ports.coordination import Coordinator
from tests.contract.coordination.stages import Stage
from tests.lab.ensembles import Ensemble
from tests.lab.etcd_ensemble import ask
from tests.lab.shared import shared


@asynccontextmanager
async def zookeeper(folder: Path) -> AsyncIterator[Stage]:
    async with _on(shared("zookeeper", 3), None) as stage:
        yield stage


@asynccontextmanager
async def etcd(folder: Path) -> AsyncIterator[Stage]:
    ensemble = shared("etcd", 3)

    async def compact() -> None:
        await asyncio.to_thread(_compact, ensemble)

    async with _on(ensemble, compact) as stage:
        yield stage


@asynccontextmanager
async def _on(
    ensemble: Ensemble, forget_history: Callable[[], Awaitable[None]] | None
) -> AsyncIterator[Stage]:
    url = ensemble.url(prefix=f"/t-{secrets.token_hex(4)}")

    async def new_client() -> Coordinator:
        return connect(url)

    @asynccontextmanager
    async def silence() -> AsyncIterator[None]:
        for member in ensemble.members:
            member.freeze()
        try:
            yield
        finally:
            for member in ensemble.members:
                member.thaw()

    stage = Stage(
        new_client,
        ttl=2 * SECOND,
        expiry_bound=5 * SECOND,
        url=url,
        forget_history=forget_history,
        silence=silence,
    )
    try:
        yield stage
    finally:
        await stage.close()


def _compact(ensemble: Ensemble) -> None:
    leader = ensemble.leader()
    revision = ask(leader, "/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    assert ask(leader, "/v3/kv/compaction", {"revision": revision, "physical": True})
