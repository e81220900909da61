"""Slots that come and go, parameters that rise and fall, files that are rendered, pg_control that is read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.value import replace
from holdfast.postgresql.clients import render_clients, render_identities
from holdfast.postgresql.control import State, Unreadable, parse_control
from holdfast.postgresql.faults import Fault, fault_of
from holdfast.postgresql.instance import Instance, slot_name
from holdfast.postgresql.position import Position
from holdfast.postgresql.settings import Settings, Upstream, quote, render
from holdfast.postgresql.slots import Advance, Create, Drop, Slot, plan

INSTANCE = Instance("db-2", "/data/pg", "/usr/lib/postgresql/15/bin", 5432, user="postgres")


def test_every_other_member_has_a_slot_and_who_left_has_none() -> None:
    slots = (
        Slot("holdfast_b", is_active=True, restart=5),
        Slot("holdfast_gone", is_active=False, restart=1),
        Slot("backup", is_active=False, restart=1),
    )
    assert plan("a", ["a", "b", "c"], slots, {}, is_primary=True) == (
        Drop("holdfast_gone", "no member is called so any more"),
        Create("holdfast_c"),
    )


def test_a_slot_that_is_in_use_is_never_dropped() -> None:
    assert plan("a", ["a"], [Slot("holdfast_b", is_active=True, restart=5)], {}, is_primary=True) == ()


def test_slots_of_a_standby_follow_what_their_members_have() -> None:
    slots = (Slot("holdfast_a", is_active=False, restart=10), Slot("holdfast_c", is_active=False, restart=10))
    assert plan("b", ["a", "b", "c"], slots, {"a": 30, "c": 5}, is_primary=False) == (
        Advance("holdfast_a", 30),
    )
    assert plan("b", ["a", "b", "c"], slots, {"a": 30, "c": 5}, is_primary=True) == ()


def test_a_primary_moves_the_slot_of_who_streams_from_another_standby_and_no_other() -> None:
    slots = (Slot("holdfast_b", is_active=False, restart=10), Slot("holdfast_c", is_active=False, restart=10))
    places = {"b": 30, "c": 20}
    changes = plan("a", ["a", "b", "c"], slots, places, is_primary=True, fed_elsewhere=["c"])
    assert changes == (Advance("holdfast_c", 20),)


def test_a_slot_that_lost_what_it_was_to_keep_is_made_anew() -> None:
    lost = Slot("holdfast_b", is_active=False, restart=0, is_lost=True)
    first, second = plan("a", ["a", "b"], [lost], {}, is_primary=True)
    assert isinstance(first, Drop)
    assert second == Create("holdfast_b")


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_slots_have_names_that_postgresql_takes_and_two_members_never_share_one(one: str, other: str) -> None:
    name = slot_name(one)
    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    if one != other:
        assert name != slot_name(other)


def test_what_is_ours_cannot_be_set_by_the_operator_and_the_rest_can() -> None:
    settings = Settings(parameters={"port": "1", "work_mem": "it's"}, upstream=Upstream("10.0.0.1", 5433))
    text = render(INSTANCE, settings)
    assert "port = '5432'" in text
    assert "work_mem = 'it''s'" in text
    assert "primary_slot_name = 'holdfast_db_2_" in text
    assert "host=''10.0.0.1'' port=''5433''" in text
    assert "application_name=''db-2''" in text
    alone = render(INSTANCE, replace(settings, upstream=None, synchronous='FIRST 1 ("a")'))
    assert "primary_conninfo = ''" in alone
    assert "synchronous_standby_names = 'FIRST 1 (\"a\")'" in alone


def test_a_standby_gets_at_least_what_its_primary_had() -> None:
    settings = Settings(parameters={"max_connections": "50", "max_wal_senders": "20"})
    text = render(
        INSTANCE, settings, {"max_connections": 100, "max_wal_senders": 10, "max_worker_processes": 8}
    )
    assert "max_connections = '100'" in text
    assert "max_wal_senders = '20'" in text
    assert "max_worker_processes = '8'" in text


def test_a_value_cannot_break_out_of_its_line() -> None:
    assert quote("a'b\\c\nd = 1") == "'a''b\\\\c d = 1'"


def test_members_are_let_in_before_the_users_own_lines() -> None:
    text = render_clients(
        INSTANCE, ["10.0.0.1", "10.1.0.0/16", "fe80::1", "db-3.example"], "host all all all reject\n"
    )
    lines = text.splitlines()
    assert lines[1] == "local all postgres peer map=holdfast"
    assert "host replication holdfast_replicator 10.0.0.1/32 scram-sha-256" in lines
    assert "host all holdfast_rewinder 10.1.0.0/16 scram-sha-256" in lines
    assert "host all holdfast_rewinder fe80::1/128 scram-sha-256" in lines
    assert "host all holdfast_rewinder db-3.example scram-sha-256" in lines
    assert lines[-1] == "host all all all reject"
    assert render_identities(INSTANCE, "root", "").splitlines()[1:] == [
        "holdfast postgres postgres",
        "holdfast root postgres",
    ]


CONTROL = (Path(__file__).parent / "pg_controldata.txt").read_text("utf-8")


def test_pg_control_is_read() -> None:
    control = parse_control(CONTROL)
    assert control.system == "7712104848424031458"
    assert control.state is State.SHUT_DOWN
    assert control.state.is_clean
    assert control.position == Position(1, 0x17414D0)
    assert control.has_checksums
    assert not control.has_hint_log
    assert control.is_rewindable
    assert control.minimums["max_connections"] == 100


@pytest.mark.parametrize(
    "missing", ["Database system identifier", "Latest checkpoint location", "max_wal_senders setting"]
)
def test_what_pg_control_does_not_tell_is_named(missing: str) -> None:
    text = "\n".join(line for line in CONTROL.splitlines() if not line.startswith(missing))
    with pytest.raises(Unreadable, match=missing):
        parse_control(text)


def test_faults_are_named_from_their_code() -> None:
    assert fault_of("53300") is Fault.FULL
    assert fault_of("53100") is Fault.DISK_FULL
    assert fault_of("53400") is Fault.LIMIT
    assert fault_of("57P03") is Fault.NOT_READY
    assert fault_of("28P01") is Fault.DENIED
    assert fault_of("08006") is Fault.BROKEN
    assert fault_of("42601") is Fault.OTHER
    assert fault_of("") is Fault.OTHER
