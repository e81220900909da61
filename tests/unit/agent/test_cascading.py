"""Whom a standby streams from: the member that its tag names, while that one is on the way from the primary."""

from collections.abc import Callable

import pytest

from holdfast.agent.cluster.postgresql import ClusterBooks
from holdfast.config import load_text
from holdfast.coordination.memory import MemoryEngine
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.detect.reach import Reach
from holdfast.loop.cluster import showing
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport, Lease, MemberReport, first_epoch_of
from holdfast.model.standing import Role, Status
from holdfast.model.value import replace
from holdfast.postgresql import cascading
from holdfast.postgresql.settings import Upstream
from tests.unit.agent.test_database_books import FILE, LEASE

PRIMARY = MemberReport(Status.UP, Role.PRIMARY, epoch=first_epoch_of(LEASE) + 1)
FEEDER = MemberReport(Status.UP, is_clear=True, streams_under=LEASE)
WAYS = FILE.replace("nosync: true", "streams_from: b")


def books(me: str, silent: tuple[str, ...] = (), **reports: MemberReport) -> ClusterBooks:
    """Return what the host of `me` knows: a has the lease, c is to stream from b."""
    policy = load_text(WAYS)
    hosts = {"a": "h1", "b": "h2", "c": "h3"}
    told = {
        hosts[name]: HostReport("l9", 1, {f"db/{name}": report})
        for name, report in reports.items()
        if name != me
    }
    lease = Lease("db", "h1", "a", LEASE, "l9")
    view = ClusterView(hosts=told, leases={"db": lease}, lease_epochs={"db": LEASE})
    reach = {host: Reach.LOST if host in silent else Reach.HEARD for host in policy.hosts}
    state = ClusterState(hosts[me], "l1", policy, 0, view=view, report=HostReport("l1"), reach=reach)
    coordinator = MemoryEngine(lambda: 0).coordinator()
    book = ClusterBook(coordinator, "/shop", hosts[me], "l1", secret=b"s")
    return ClusterBooks(coordinator, book, b"s", lambda: state, lambda: showing.elsewhere(state))


def test_a_standby_streams_from_the_member_that_its_tag_names() -> None:
    assert cascading.via("db/c", books("c", a=PRIMARY, b=FEEDER)) == "b"
    assert cascading.wanted_via("db/b", books("b", a=PRIMARY)) is None
    assert cascading.feeds_others("db/b", books("b", a=PRIMARY))
    assert not cascading.feeds_others("db/c", books("c", a=PRIMARY))


@pytest.mark.parametrize(
    "known",
    [
        lambda: books("c", a=PRIMARY),
        lambda: books("c", a=PRIMARY, b=replace(FEEDER, streams_under=0)),
        lambda: books("c", a=PRIMARY, b=replace(FEEDER, streams_under=LEASE - 1)),  # from a deposed one
        lambda: books("c", a=PRIMARY, b=replace(FEEDER, status=Status.DOWN)),
        lambda: books("c", a=PRIMARY, b=replace(FEEDER, role=Role.PROMOTING)),
        lambda: books("c", ("h2",), a=PRIMARY, b=FEEDER),
        # Nobody has told yet that it is primary under the newest lease: then it streams from nobody at all.
        lambda: books("c", a=replace(PRIMARY, epoch=first_epoch_of(LEASE - 1)), b=FEEDER),
    ],
)
def test_it_does_not_while_that_one_is_not_on_the_way_from_the_primary(
    known: Callable[[], ClusterBooks],
) -> None:
    assert cascading.via("db/c", known()) is None


def test_a_primary_knows_who_streams_elsewhere() -> None:
    assert cascading.fed_elsewhere("db/a", books("a", b=FEEDER)) == {"c": Upstream("10.0.0.2", 5432)}
    assert cascading.fed_elsewhere("db/a", books("a", b=replace(FEEDER, streams_under=0))) == {}
