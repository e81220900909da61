"""Following a server outside: whose log is whose, and what is written so that members are let in."""

from pathlib import Path

import pytest

from holdfast.model.value import replace
from holdfast.postgresql.clients import render_clients
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.outside import is_apart, own_history
from holdfast.postgresql.position import Fork, History, Position
from holdfast.postgresql.roles import is_verifier_of
from holdfast.postgresql.settings import Settings, Upstream, is_told_to_follow, render

INSTANCE = Instance("db-2", "/data/pg", "/usr/lib/postgresql/15/bin", 5432, user="postgres")
# Of "pencil": salt and keys are those of the example in RFC 7677.
VERIFIER = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
FIRST = History(1)
SECOND = History(2, (Fork(1, 100),))


@pytest.mark.parametrize(
    ("own", "ours", "there", "theirs", "apart"),
    [
        (Position(1, 50), FIRST, Position(1, 90), FIRST, False),
        (
            Position(1, 90),
            FIRST,
            Position(1, 50),
            FIRST,
            False,
        ),  # it has lost nothing: it will get there again
        (Position(1, 100), FIRST, Position(2, 150), SECOND, False),  # their own failover
        (Position(1, 101), FIRST, Position(2, 150), SECOND, True),  # they lost what we have
        (Position(2, 120), SECOND, Position(1, 150), FIRST, True),  # we were promoted
        (Position(2, 120), SECOND, Position(2, 150), SECOND, False),  # we followed their failover
        # Both were promoted, under the same number: nothing but the way to it tells.
        (Position(2, 120), History(2, (Fork(1, 90),)), Position(2, 150), SECOND, True),
        (
            Position(2, 120),
            History(2, (Fork(1, 90),)),
            Position(3, 200),
            History(3, (Fork(1, 100), Fork(2, 150))),
            True,
        ),
        (Position(2, 120), None, Position(2, 150), SECOND, False),
    ],
)
def test_two_logs_are_apart_if_each_has_what_the_other_has_not(
    own: Position, ours: History | None, there: Position, theirs: History, apart: bool
) -> None:
    assert is_apart(own, ours, there, theirs) is apart


def test_the_way_to_the_own_timeline_is_read_from_the_data(tmp_path: Path) -> None:
    instance = replace(INSTANCE, data=str(tmp_path))
    (tmp_path / "pg_wal").mkdir()
    assert own_history(instance, 1) == FIRST
    assert own_history(instance, 2) is None
    (tmp_path / "pg_wal" / "00000002.history").write_text("1\t0/64\tno recovery target specified\n")
    assert own_history(instance, 2) == SECOND


def test_a_password_is_known_by_what_the_server_keeps_of_it() -> None:
    assert is_verifier_of(VERIFIER, "pencil")
    for verifier in (VERIFIER, "", "md5abc", "SCRAM-SHA-256$4096:x$y:z"):
        assert not is_verifier_of(verifier, "pen")


def test_a_server_outside_is_streamed_from_under_its_own_role_and_slot() -> None:
    outside = Upstream("pg.other-site", 5433, "dr", "shop")
    text = render(INSTANCE, Settings(outside, is_standby=True))
    assert "primary_slot_name = 'shop'" in text
    assert "user=\\'dr\\'" in text or "user=''dr''" in text
    assert "wal_sender_timeout" in text.split("primary_conninfo")[1].split("\n")[0]
    without = render(INSTANCE, Settings(replace(outside, slot=""), is_standby=True))
    assert "primary_slot_name = ''" in without
    member = render(INSTANCE, Settings(Upstream("10.0.0.1", 5432), is_standby=True))
    assert "holdfast_replicator" in member
    assert "primary_slot_name = 'holdfast_db_2" in member


def test_members_are_let_in_under_the_role_from_outside_too() -> None:
    text = render_clients(replace(INSTANCE, guest="dr"), ["10.0.0.1"], "")
    for user in ("dr", "holdfast_replicator"):
        assert f"host replication {user} 10.0.0.1/32 scram-sha-256" in text
    assert " dr " not in render_clients(INSTANCE, ["10.0.0.1"], "")


def test_whom_a_server_was_told_to_follow_is_read_from_its_file(tmp_path: Path) -> None:
    instance = replace(INSTANCE, data=str(tmp_path))
    assert not is_told_to_follow(instance)
    for upstream in (None, Upstream("10.0.0.1", 5432)):
        (tmp_path / "holdfast.conf").write_text(render(instance, Settings(upstream, is_standby=True)))
        assert is_told_to_follow(instance) is (upstream is not None)
