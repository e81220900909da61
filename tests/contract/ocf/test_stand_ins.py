"""What stands in for Pacemaker's programs answers as agents expect, and what they wrote can be read by us."""

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.ocf.attributes import INFINITY, Attributes, as_score
from holdfast.ocf.variables import STAND_INS

NOTHING_THERE = 105

pytestmark = pytest.mark.e2e


@pytest.fixture
def attributes(tmp_path: Path) -> Attributes:
    attributes = Attributes(tmp_path / "attributes")
    attributes.begin("this-boot")
    return attributes


def call(attributes: Attributes, *command: str, resource: str = "db", host: str = "h1") -> tuple[int, str]:
    """Run one of the programs as an agent does: found through PATH."""
    environment = {
        "PATH": f"{STAND_INS}:{os.defpath}",
        "OCF_RESOURCE_INSTANCE": resource,
        "HOLDFAST_OCF_ATTRIBUTES": str(attributes.folder),
        "HOLDFAST_OCF_HOST": host,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.rstrip("\n")


def test_a_score_that_an_agent_sets_is_read_by_it_and_by_us(attributes: Attributes) -> None:
    assert attributes.score_of("h1", "db") is None
    assert call(attributes, "crm_attribute", "-p", "-v", "10") == (0, "")
    assert call(attributes, "crm_master", "-N", "h1", "-l", "reboot", "-G", "--quiet") == (0, "10")
    assert attributes.score_of("h1", "db") == 10
    assert call(attributes, "crm_attribute", "--promotion=db", "-D") == (0, "")
    assert call(attributes, "crm_attribute", "-p", "-G", "-q")[0] == NOTHING_THERE
    assert attributes.score_of("h1", "db") is None


def test_the_name_of_a_clones_instance_is_that_of_its_resource(attributes: Attributes) -> None:
    call(attributes, "crm_master", "-l", "reboot", "-v", "7", resource="db:1")
    assert attributes.score_of("h1", "db") == 7


def test_attributes_of_other_hosts_are_read_and_written(attributes: Attributes) -> None:
    attributes.swap("h2", "reboot", "db-xlog-loc", None, "000000000A000060")
    assert call(attributes, "crm_attribute", "-l", "reboot", "-N", "h2", "-n", "db-xlog-loc", "-G", "-q") == (
        0,
        "000000000A000060",
    )
    call(
        attributes,
        "crm_attribute",
        "-l",
        "forever",
        "-N",
        "h2",
        "-n",
        "db-data-status",
        "-v",
        "STREAMING|ASYNC",
    )
    assert attributes.of("h2", lifetime="forever") == {"db-data-status": "STREAMING|ASYNC"}
    assert attributes.of("h2") == {"db-xlog-loc": "000000000A000060"}
    attributes.swap("h2", "reboot", "db-xlog-loc", "000000000A000059", None)
    assert attributes.of("h2") != {}, "somebody has changed it meanwhile"
    attributes.swap("h2", "reboot", "db-xlog-loc", "000000000A000060", None)
    assert attributes.of("h2") == {}


def test_what_belongs_to_no_host_is_kept_for_all(attributes: Attributes) -> None:
    name = ("crm_attribute", "--type", "crm_config", "--name", "db_REPL_INFO", "-s", "redis_replication")
    assert call(attributes, *name, "--query", "-q") == (NOTHING_THERE, "")
    assert call(attributes, *name, "-v", "h1", "-q")[0] == 0
    assert call(attributes, *name, "--query", "-q", host="h2") == (0, "h1")


def test_attributes_of_the_boot_are_gone_with_it(attributes: Attributes) -> None:
    call(attributes, "attrd_updater", "-n", "ping", "-v", "3")
    assert call(attributes, "attrd_updater", "-n", "ping", "-Q") == (0, 'name="ping" host="h1" value="3"')
    call(attributes, "crm_attribute", "-l", "forever", "-n", "stays", "-v", "yes")
    Attributes(attributes.folder).begin("next-boot")
    assert attributes.of("h1") == {}
    assert attributes.of("h1", lifetime="forever") == {"stays": "yes"}


def test_peers_are_told_as_agents_look_for_them(attributes: Attributes) -> None:
    attributes.tell_hosts({"h1": True, "h2": False})
    attributes.tell_roles("db", {"h1": "Promoted", "h2": "Unpromoted"})
    assert call(attributes, "crm_node", "-n") == (0, "h1")
    assert call(attributes, "crm_node", "-l") == (0, "1 h1 member\n2 h2 lost")
    assert call(attributes, "crm_node", "-p") == (0, "h1 ")
    _, page = call(attributes, "crm_mon", "-1", "--output-as=xml")
    lines = page.splitlines()
    assert sum('<node name="h1" id="1" online="true"' in line for line in lines) == 1
    wanted = '<resource id="db" resource_agent="ocf" role="Promoted" active="true" orphaned="false"'
    assert sum(wanted in line for line in lines) == 1


def test_a_ban_is_the_lowest_score(attributes: Attributes) -> None:
    call(attributes, "crm_attribute", "-p", "-v", "10")
    assert call(attributes, "crm_resource", "-B", "-r", "db", "-N", "h1", "-Q")[0] == 0
    assert attributes.score_of("h1", "db") == -INFINITY


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("10", 10),
        ("-5", -5),
        ("+3", 3),
        ("INFINITY", INFINITY),
        ("-INFINITY", -INFINITY),
        ("99999999", INFINITY),
        ("", None),
        (None, None),
        ("x", None),
    ],
)
def test_a_score_is_read_as_pacemaker_does(text: str | None, score: int | None) -> None:
    assert as_score(text) == score


@pytest.mark.parametrize("name", ["../x", "a/b", "", "../../h2/reboot/x"])
def test_an_attribute_never_leaves_its_folder(attributes: Attributes, name: str) -> None:
    before = sorted(attributes.folder.rglob("*"))
    assert call(attributes, "crm_attribute", "-l", "reboot", "-n", name, "-v", "3")[0] == 64
    assert (
        call(attributes, "crm_attribute", "-l", "reboot", "-N", f"../{name}", "-n", "x", "-v", "3")[0] == 64
    )
    assert sorted(attributes.folder.rglob("*")) == before


def test_a_value_that_cannot_be_written_takes_the_old_one_with_it_and_no_agent_waits(
    attributes: Attributes,
) -> None:
    call(attributes, "crm_attribute", "-p", "-v", "10")
    (attributes.folder / "h1" / "reboot" / "master-db").unlink()
    (attributes.folder / "h1" / "reboot").rmdir()
    (attributes.folder / "h1" / "reboot").write_text("in the way")
    assert call(attributes, "crm_attribute", "-p", "-v", "20")[0] == 0
    assert attributes.score_of("h1", "db") is None


def test_outside_of_an_agent_they_say_whose_they_are() -> None:
    done = subprocess.run(
        [STAND_INS / "crm_mon"], env={"PATH": os.defpath}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "holdfast" in done.stderr
