"""The screens of several hosts, and what they mean for the verdict behind the exit code."""

import pytest

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.status import SystemStatus, status_of
from holdfast.cli.painting import Paint
from holdfast.cli.rendering_status import nagios_text, status_text
from holdfast.cli.standing import ServiceStanding, Standing, Verdict, standing_of
from holdfast.cli.verbs.hosts import hosts_text
from holdfast.model.cluster import Lease
from holdfast.model.policy import Mode
from holdfast.model.standing import Role, Status
from holdfast.model.state import State
from holdfast.model.value import replace
from tests.unit.cli import cluster_worlds, worlds
from tests.unit.cli.goldens import assert_golden
from tests.unit.cli.stand_in import StandIn

CALM = (cluster_worlds.calm(), cluster_worlds.cluster())


def standing(world: tuple[State, ClusterStatus]) -> Standing:
    return standing_of(world[0], worlds.NOW, worlds.CLOCK, world[1])


def service(world: tuple[State, ClusterStatus], name: str) -> ServiceStanding:
    return next(one for one in standing(world).services if one.name == name)


def status(world: tuple[State, ClusterStatus]) -> SystemStatus:
    return status_of(world[0], StandIn(world[0]).agent, worlds.NOW, world[1])


@pytest.mark.parametrize(
    ("name", "world"),
    [
        ("calm", CALM),
        ("host-lost", cluster_worlds.h2_lost()),
        ("holding", cluster_worlds.holding()),
        ("rolling", cluster_worlds.rolling()),
        ("committing", cluster_worlds.committing("db-1", "db-3")),
        ("committing-alone", cluster_worlds.committing()),
    ],
)
def test_screens_of_several_hosts_are(name: str, world: tuple[State, ClusterStatus]) -> None:
    screen = status_text(standing(world), Paint())
    assert_golden(f"status-hosts-{name}", screen)
    lines = hosts_text(status(world), world[1], Paint(), zone=worlds.CLOCK.zone)
    assert_golden(f"hosts-{name}", "\n".join(lines) + "\n")
    assert max(map(len, (*screen.splitlines(), *lines))) <= 80


def test_colour_adds_nothing_to_the_hosts() -> None:
    world = cluster_worlds.h2_lost()
    coloured = status_text(standing(world), Paint(is_coloured=True))
    for code in ("31", "32", "33", "2", "1", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == status_text(standing(world), Paint())


def test_members_of_other_hosts_count() -> None:
    db, web = service(CALM, "db"), service(CALM, "web")
    assert (db.up, db.wanted, db.active, db.epoch) == (2, 2, ("db-2",), cluster_worlds.EPOCH)
    assert (web.up, web.wanted, web.active) == (3, 3, ("web-1", "web-2", "web-3"))


def test_primary_of_a_silent_host_is_a_former_one_once_another_has_the_lease() -> None:
    found = {one.id: one for one in standing(cluster_worlds.h2_lost()).components}
    assert (found["db/db-2"].role, found["db/db-2"].is_active) == ("former", False)
    assert (found["db/db-1"].role, found["db/db-1"].is_active) == ("primary", True)


def test_singleton_elsewhere_is_wanted_where_the_lease_is() -> None:
    state, seen = CALM
    policy = replace(cluster_worlds.db_policy(), mode=Mode.SINGLETON)
    stopped = replace(state.elsewhere["db/db-2"], status=Status.STOPPED, role=Role.STANDBY)
    state = replace(
        state,
        policy=replace(state.policy, services={"db": policy}),
        elsewhere={"db/db-2": stopped},
    )
    assert service((state, seen), "db").wanted == 1  # it should run there, and does not
    held = replace(seen.leases[0], lease=Lease("db", "h1", "db-1", 4, "9f8e"))
    assert service((state, replace(seen, leases=(held,))), "db").wanted == 0


def test_all_hosts_and_all_members_are_ok() -> None:
    assert standing(CALM).verdict is Verdict.OK


@pytest.mark.parametrize(("has_session", "reach"), [(False, "heard"), (True, "lost"), (False, "unknown")])
def test_host_that_does_not_take_part_degrades(reach: str, *, has_session: bool) -> None:
    away = replace(cluster_worlds.host("h3"), has_session=has_session, reach=reach)
    assert standing((CALM[0], cluster_worlds.with_host(CALM[1], away))).verdict is Verdict.DEGRADED


def test_host_without_a_session_of_its_own_is_degraded() -> None:
    assert standing((CALM[0], replace(CALM[1], is_connected=False))).verdict is Verdict.DEGRADED


def test_member_down_on_another_host_degrades() -> None:
    state = CALM[0]
    down = replace(state.elsewhere["web/web-3"], status=Status.DOWN, reason="killed")
    state = replace(state, elsewhere={**state.elsewhere, "web/web-3": down})
    assert standing((state, CALM[1])).verdict is Verdict.DEGRADED


def test_doubt_about_a_host_is_no_verdict() -> None:
    doubted = replace(cluster_worlds.host("h3"), reach="suspect")
    assert standing((CALM[0], cluster_worlds.with_host(CALM[1], doubted))).verdict is Verdict.OK


def test_nagios_line_names_the_host_that_is_missing() -> None:
    text = nagios_text(standing(cluster_worlds.h2_lost()))
    assert text.startswith("HOLDFAST WARNING shop S 0.80: db/db-2 down, web/web-2 down, h2 has no session | ")
    assert text.endswith(" hosts=2;;;0;3\n")
    alone = nagios_text(standing((CALM[0], replace(CALM[1], is_connected=False))))
    assert "h1 has no session with the coordinator" in alone


def test_heartbeats_that_are_refused_at_every_start_are_no_banner() -> None:
    unheard = replace(cluster_worlds.host("h3"), reach="unknown", silent_s=None)
    world = (CALM[0], cluster_worlds.with_host(CALM[1], unheard))
    assert "BEATS" not in status_text(standing(world), Paint())


def test_one_host_is_shown_without_a_word_of_hosts() -> None:
    screen = status_text(standing_of(worlds.calm(), worlds.NOW, worlds.CLOCK), Paint())
    assert "HOST" not in screen
    assert "SESSION" not in screen
