"""What a candidate is told of the other members of its database, and what follows for who may be promoted."""

from holdfast.agent.cluster.postgresql import ClusterBooks
from holdfast.config import load_text
from holdfast.coordination.memory import MemoryEngine
from holdfast.coordination.recipes.cluster_book import ClusterBook
from holdfast.detect.reach import Reach
from holdfast.loop.cluster import showing
from holdfast.loop.cluster.state import ClusterState
from holdfast.model.cluster import ClusterView, HostReport, MemberReport
from holdfast.model.postgresql import Record
from holdfast.model.standing import Role, Status
from holdfast.model.tags import Tags
from holdfast.model.value import replace
from holdfast.postgresql.comparing import could_speak, heard, why_behind, why_unrecorded
from holdfast.postgresql.position import Position

FILE = """
system: shop
cluster: { coordinator: "etcd://10.0.0.9:2379", secret: { file: /etc/holdfast/cluster.key } }
hosts: { h1: { address: 10.0.0.1 }, h2: { address: 10.0.0.2 }, h3: { address: 10.0.0.3 } }
services:
  db:
    mode: active-standby
    port: 5432
    members: { a: { on: h1 }, b: { on: h2, priority: 3 }, c: { on: h3, nosync: true } }
    run: { postgresql: { data: /srv/pg, programs: /usr/lib/postgresql/15/bin } }
"""
LEASE = 7
STANDBY = MemberReport(Status.UP, is_clear=True)
OWN = Position(1, 100)


def at_rest(lsn: int, under: int = LEASE) -> MemberReport:
    return replace(STANDBY, position=(1, lsn), position_under=under)


def books(
    record: Record | None = None, *, silent: tuple[str, ...] = (), **members: MemberReport
) -> ClusterBooks:
    """Return what the host of b knows; `members` are a, on h1, and c, on h3."""
    policy = load_text(FILE)
    hosts = {"a": "h1", "c": "h3"}
    reports = {hosts[name]: HostReport("l9", 1, {f"db/{name}": report}) for name, report in members.items()}
    view = ClusterView(
        hosts=reports, lease_epochs={"db": LEASE}, records={"db": record} if record is not None else {}
    )
    reach = {host: Reach.LOST if host in silent else Reach.HEARD for host in policy.hosts}
    state = ClusterState("h2", "l1", policy, 0, view=view, report=HostReport("l1"), reach=reach)
    coordinator = MemoryEngine(lambda: 0).coordinator()
    book = ClusterBook(coordinator, "/shop", "h2", "l1", secret=b"s")
    return ClusterBooks(coordinator, book, b"s", lambda: state, lambda: showing.elsewhere(state))


def test_what_stands_in_the_coordinator_and_in_the_file_is_told() -> None:
    record = Record("a", ("b",), epoch=6)
    known = books(record, a=STANDBY)
    assert known.record("db") == record
    assert known.newest_lease("db") == LEASE
    assert known.tags("db") == {"a": Tags(), "b": Tags(priority=3), "c": Tags(nosync=True)}


def test_a_last_word_counts_under_its_own_lease_only() -> None:
    known = books(a=at_rest(90), c=at_rest(95, under=LEASE - 1))
    assert heard("db/b", known, LEASE) == {"a": Position(1, 90)}
    assert heard("db/b", known, LEASE - 1) == {"c": Position(1, 95)}


def test_whose_host_is_silent_says_nothing_any_more() -> None:
    assert "a" in books(a=at_rest(90)).others("db/b")
    assert "a" not in books(silent=("h1",), a=at_rest(90)).others("db/b")


def test_who_is_not_in_the_record_is_no_candidate_unless_it_has_all_of_a_log_that_ended() -> None:
    record = Record("a", ("c",), epoch=6)
    assert "not among a, c" in why_unrecorded("db/b", OWN, books(record, a=STANDBY, c=STANDBY))
    assert "not among a, c" in why_unrecorded("db/b", OWN, books(record, a=at_rest(101)))
    assert not why_unrecorded("db/b", OWN, books(record, a=at_rest(100)))
    assert not why_unrecorded("db/b", OWN, books())


def test_a_voter_is_no_candidate_while_too_few_could_be_compared() -> None:
    record = Record("a", ("b", "c"), 2, epoch=6)
    primary = MemberReport(Status.UP, role=Role.PRIMARY)
    assert "2 of b, c have to be compared, and 1 of them is there" in why_unrecorded(
        "db/b", OWN, books(record)
    )
    assert why_unrecorded("db/b", OWN, books(record, silent=("h3",), c=STANDBY))
    assert not why_unrecorded("db/b", OWN, books(record, c=STANDBY))
    assert not why_unrecorded("db/b", OWN, books(record, a=primary))  # it is asked for nobody else's word
    assert why_unrecorded("db/b", OWN, books(record, silent=("h1",), a=primary))


def test_one_that_was_shut_down_in_good_order_is_not_passed_over() -> None:
    down = replace(at_rest(101), status=Status.DOWN)
    assert "a was shut down at" in why_behind("db/b", OWN, books(a=down))
    assert not why_behind("db/b", OWN, books(a=replace(down, position=(1, 100))))
    assert not why_behind("db/b", OWN, books(a=replace(down, position_under=LEASE - 1)))
    assert not why_behind("db/b", OWN, books(silent=("h1",), a=down))


def test_one_whose_starts_failed_for_good_is_not_waited_for() -> None:
    down = replace(at_rest(101), status=Status.DOWN, is_spent=True)
    assert not why_behind("db/b", OWN, books(a=down))
    assert "the log of a goes further" in why_behind("db/b", OWN, books(a=replace(down, status=Status.UP)))


def test_who_goes_further_and_could_serve_is_not_passed_over() -> None:
    assert "the log of c goes further" in why_behind("db/b", OWN, books(c=at_rest(101)))
    assert not why_behind("db/b", OWN, books(c=replace(at_rest(101), unfit="drained")))


def test_one_that_crashed_can_say_that_it_has_nothing_to_say() -> None:
    assert could_speak(replace(STANDBY, status=Status.DOWN))
    assert not could_speak(MemberReport(Status.DOWN, role=Role.PRIMARY))
