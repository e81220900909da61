"""How far a shared file has come, as one host sees it."""

from holdfast.cli.rolling_out import Stand, roll_out
from holdfast.model.value import replace
from tests.unit.cli import cluster_worlds

NEW = "9a2b"


def test_it_is_done_when_every_host_with_a_session_runs_it() -> None:
    seen = cluster_worlds.cluster()
    hosts = [replace(host, revision=NEW) for host in seen.hosts[:2]]
    away = replace(seen.hosts[2], has_session=False)
    progress = roll_out(replace(seen, hosts=(*hosts, away)), NEW)
    assert progress.is_done
    assert [one.stand for one in progress.hosts] == [Stand.RUNS, Stand.RUNS, Stand.AWAY]


def test_it_is_not_done_while_one_waits_and_says_for_what() -> None:
    _, seen = cluster_worlds.rolling()
    progress = roll_out(seen, NEW)
    assert not progress.is_done
    assert [one.stand for one in progress.hosts] == [Stand.RUNS, Stand.WAITS, Stand.WAITS]
    assert progress.waiting[0].text == "waits: h1 runs it, but web/web-1 there is unknown: starting"


def test_nobody_is_no_success() -> None:
    seen = cluster_worlds.cluster()
    away = tuple(replace(host, has_session=False) for host in seen.hosts)
    assert not roll_out(replace(seen, hosts=away), NEW).is_done
