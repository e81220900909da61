"""What is wrong with a fence policy is told before it is needed, by what the agents say of themselves."""

import asyncio
from pathlib import Path

import pytest

from holdfast.fencing import problems_of
from holdfast.fencing.metadata import parse_metadata
from holdfast.fencing.running import run
from holdfast.model.policy import FencePolicy, SecretFrom
from tests.contract.fencing_stage import agent, asked, by_agent, by_command, played

VIRSH: dict[str, str | SecretFrom] = {"ip": "10.0.0.9", "username": "root", "plug": "h1", "password": "x"}


def test_a_policy_that_works_has_no_problems(tmp_path: Path) -> None:
    assert problems_of(by_agent("fence_dummy", status_file=str(tmp_path / "h1"))) == ()
    assert problems_of(by_agent("fence_virsh", **VIRSH)) == ()
    assert (
        problems_of(by_agent("fence_ipmilan", ip="10.0.9.1", username="a", password="b", lanplus="1")) == ()
    )
    assert problems_of(by_command("/bin/true")) == ()


def test_the_port_tells_the_same(tmp_path: Path) -> None:
    policy = by_agent("fence_dummy", colour="red")
    assert played(lambda fencing: fencing.problems_of(policy)) == problems_of(policy) != ()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (by_agent("fence_toaster"), "apt-get install fence-agents"),
        (by_agent("/bin/true"), "true is no fence agent: its metadata is no XML"),
        (by_agent("/bin/false"), "false ended with 1; it was asked for its metadata"),
        (by_command("/nowhere/pdu-off"), "/nowhere/pdu-off is not there"),
        (by_agent("fence_dummy", colour="red"), "options.colour: fence_dummy has no such option; it has "),
        (by_agent("fence_dummy", help="1"), "options.help: fence_dummy has no such option"),
        (
            by_agent("fence_dummy", delay="5s"),
            "options.delay must be a whole number of seconds, without a unit",
        ),
        (by_agent("fence_dummy", verbose_level="x"), "options.verbose_level must be a whole number"),
        (by_agent("fence_dummy", quiet="maybe"), "options.quiet must be 1 or 0"),
        (by_agent("fence_ipmilan", privlvl="king"), "options.privlvl must be one of "),
        (
            by_agent("fence_virsh", ip="10.0.0.9", username="root"),
            "options.plug is missing: fence_virsh needs it",
        ),
        (by_agent("fence_heuristics_ping", ping_targets="127.0.0.1"), "no action status"),
        (by_agent("fence_dummy", status_file=SecretFrom(file="/nowhere/x")), "/nowhere/x cannot be read"),
        (by_agent("fence_dummy", status_file="a\naction=on"), "holds a line end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_problem_is_named(policy: FencePolicy, said: str) -> None:
    assert any(said in problem for problem in problems_of(policy)), problems_of(policy)


def test_all_problems_are_named_at_once() -> None:
    assert len(problems_of(by_agent("fence_virsh", colour="red", delay="5s"))) == 5


def test_an_options_older_name_counts_as_well() -> None:
    older: dict[str, str | SecretFrom] = {"ipaddr": "10.0.0.9", "login": "root", "port": "h1", "passwd": "x"}
    assert problems_of(by_agent("fence_virsh", **older)) == ()


def test_what_only_the_agent_itself_knows_is_asked_of_it() -> None:
    without = {name: value for name, value in VIRSH.items() if name != "password"}
    (problem,) = problems_of(by_agent("fence_virsh", **without))
    assert "You have to enter password, password script or identity file" in problem


def test_no_device_is_asked_and_nothing_is_turned_off(tmp_path: Path) -> None:
    meta = (
        '[ $action != metadata ] || echo "<resource-agent name=\\"x\\"><parameters/><actions><action name=\\"off\\"/>'
        '<action name=\\"status\\"/></actions></resource-agent>"'
    )
    assert problems_of(by_agent(agent(tmp_path, meta))) == ()
    assert asked(tmp_path) == ["metadata"]


def test_a_secret_is_in_no_problem(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish")
    place = SecretFrom(file=str(tmp_path / "secret"))
    policy = by_agent(
        "fence_virsh", **(VIRSH | {"password": place, "identity_file": "/nowhere/id", "ssh": "1"})
    )
    found = problems_of(policy)
    assert found
    assert not any("swordfish" in problem for problem in found)


@pytest.mark.slow
def test_every_agent_of_debian_can_be_read() -> None:
    agents = sorted(path for path in Path("/usr/sbin").glob("fence_*") if path.name != "fence_ack_manual")
    assert len(agents) > 50

    async def read() -> list[str]:
        found = []
        for path in agents:
            ran = await run([str(path)], 30.0, told=b"action=metadata\n")
            if not parse_metadata(ran.printed).parameters:
                found.append(path.name)
        return found

    # fence_rcd_serial and the like say little, and say it in XML.
    assert asyncio.run(read()) == []
