"""Fixtures of the lab: a cluster per engine and size, on a site that all tests of a run share, and a database on one.

A folder that uses them names them in its conftest: `from tests.lab.fixtures import *`. Raising a site takes about a second
with etcd and some seconds with ZooKeeper's three JVMs, so it is raised once, when first asked for.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.lab.databases import Database
from tests.lab.hosts import Cluster, Site
from tests.lab.network import is_permitted
from tests.lab.redis_service import RedisService

__all__ = ["database", "etcd3", "etcd5", "sites", "zookeeper3", "zookeeper5"]

Service = TypeVar("Service", bound=Database | RedisService)


class Sites:
    """The sites of this run. One stands at a time: the machine is small, and idle servers are not free."""

    def __init__(self) -> None:
        self._present: Site | None = None
        self._stack = ExitStack()

    def get(self, engine: str, hosts: int) -> Site:
        present = self._present
        if present is None or (present.engine, len(present.hosts)) != (engine, hosts):
            self.close()
            self._present = self._stack.enter_context(Site(engine, hosts))
        assert self._present is not None
        return self._present

    def close(self) -> None:
        self._present = None
        self._stack.close()


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    if not is_permitted():
        pytest.skip("the lab makes network namespaces, which needs root")
    found = Sites()
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def etcd3(sites: Sites, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(sites.get("etcd", 3), tmp_path) as cluster:
        yield cluster


@pytest.fixture
def etcd5(sites: Sites, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(sites.get("etcd", 5), tmp_path) as cluster:
        yield cluster


@pytest.fixture
def zookeeper3(sites: Sites, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(sites.get("zookeeper", 3), tmp_path) as cluster:
        yield cluster


@pytest.fixture
def zookeeper5(sites: Sites, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(sites.get("zookeeper", 5), tmp_path) as cluster:
        yield cluster


@contextmanager
def lent(made: Service) -> Iterator[Service]:
    """Lend a service on a cluster's hosts. Afterwards all that runs there is ended, and its data removed."""
    try:
        yield made
    finally:
        made.cluster.site.restore(made.cluster.nemesis)
        made.close()


@pytest.fixture
def database(etcd3: Cluster) -> Iterator[Database]:
    with lent(Database(etcd3)) as made:
        yield made
