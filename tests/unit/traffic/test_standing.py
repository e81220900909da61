"""What HAProxy says, read strictly. The texts are HAProxy 2.6's own."""

import pytest

from holdfast.model.routing import Lane, Routing
from holdfast.traffic.console import Refused
from holdfast.traffic.standing import (
    Server,
    Standing,
    as_traffic,
    parse,
    parse_map,
    parse_servers,
    parse_sessions,
)
from holdfast.traffic.workers import Workers, parse_workers

INFO = "Name: HAProxy\nPid: 21988\nUptime: 0d 0h00m01s\ndescription: holdfast abc123\nStopping: 0\nJobs: 6"
HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n"
STAT = "# pxname,svname,qcur,scur,status,\ndb,a,0,3,DOWN,\ndb,b,0,0,UP 1/2,"
MAP = "0x557b1fc8b640 db ~b\n0x557b1fc8b6d0 tc -"


def states(op: int, admin: int) -> str:
    return f"{HEAD}3 db 1 a 127.0.0.1 {op} {admin} 18801"


def test_the_whole_answer_is_understood() -> None:
    said = parse([INFO, states(2, 0), STAT, MAP])
    server = Server(Lane.IN, is_up=True, sessions=3)
    assert said == Standing(21988, False, "abc123", {"db": {"a": server}}, {"db": "~b", "tc": "-"})


@pytest.mark.parametrize(
    ("op", "admin", "lane", "is_up"),
    [
        (2, 0x00, Lane.IN, True),  # UP, also `UP 1/2`
        (1, 0x00, Lane.IN, True),  # starting: slow start
        (3, 0x00, Lane.IN, True),  # NOLB
        (0, 0x00, Lane.IN, False),  # DOWN, also `DOWN 1/2`
        (2, 0x08, Lane.DRAIN, True),  # DRAIN
        (0, 0x08, Lane.DRAIN, False),  # drains, and its checks fail: the page says DOWN
        (2, 0x10, Lane.DRAIN, True),  # inherited drain
        (0, 0x01, Lane.OUT, False),  # MAINT
        (0, 0x02, Lane.OUT, False),  # MAINT (via other/server)
        (0, 0x20, Lane.OUT, False),  # MAINT (resolution)
        (0, 0x09, Lane.OUT, False),  # maintenance wins over drain
    ],
)
def test_a_servers_state_is_told_from_its_bits(op: int, admin: int, lane: Lane, is_up: bool) -> None:
    assert parse_servers(states(op, admin), {})["db"]["a"] == Server(lane, is_up, 0)


def test_down_by_us_is_a_lane_and_down_by_its_checks_is_not() -> None:
    fallen = Standing(1, False, "", {"db": {"a": Server(Lane.IN, is_up=False, sessions=1)}}, {"db": "a"})
    (by_checks,) = as_traffic(fallen, {"db": Routing("a", {"a": Lane.IN})}, {})
    (by_us,) = as_traffic(fallen, {"db": Routing("a", {"a": Lane.DOWN})}, {("db", "a"): 2})
    (unknown,) = as_traffic(fallen, {}, {})
    assert by_checks.members["a"].lane is unknown.members["a"].lane is Lane.IN
    assert by_us.members["a"].lane is Lane.DOWN
    assert (by_us.active, by_us.members["a"].sessions) == ("a", 3)


@pytest.mark.parametrize(
    "answers",
    [
        ["", states(2, 0), STAT, MAP],
        [INFO, "Permission denied", STAT, MAP],
        [INFO, "2\n# be_id", STAT, MAP],
        [INFO, HEAD + "3 db 1 a", STAT, MAP],
        [INFO, states(2, 0), "Permission denied", MAP],
        [INFO, states(2, 0), STAT, "Permission denied"],
    ],
)
def test_an_answer_that_is_not_understood_is_an_error(answers: list[str]) -> None:
    with pytest.raises(Refused, match="not understood"):
        parse(answers)


def test_a_configuration_without_a_map_has_no_active_members() -> None:
    assert parse_map("Unknown map identifier. Please use #<id> or <file>.") == {}
    assert parse_map("") == {}


def test_sessions_are_found_by_the_name_of_their_column() -> None:
    assert parse_sessions(STAT) == {("db", "a"): 3, ("db", "b"): 0}


def test_old_workers_and_failed_reloads_are_counted() -> None:
    head = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
    worker = "25572           worker          0               0d00h00m00s     2.6.12-1+deb12u4\n"
    old = "25330           worker          1               0d00h00m33s     2.6.12-1+deb12u4\n"
    text = f"{head}21954           master          2 [failed: 1]   0d00h05m52s     2.6\n# workers\n{worker}"
    assert parse_workers(text + "# programs\n") == Workers(2, 1, ())
    assert parse_workers(f"{text}# old workers\n{old}# programs\n") == Workers(2, 1, (25330,))
    with pytest.raises(Refused):
        parse_workers("Permission denied")
