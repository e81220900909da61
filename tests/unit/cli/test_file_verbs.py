"""The verbs that read or write the file: init, validate, schema, plan, simulate, and run's refusals."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.cli.verbs.init import free_ports, system_name
from tests.unit.cli import worlds
from tests.unit.cli.calling import Call
from tests.unit.cli.stand_in import StandIn, running


def test_init_writes_a_file_that_is_valid_as_it_is(call: Call, folder: Path) -> None:
    result = call("init", "--system", "shop")
    assert result.exit_code == 0, result.output
    assert "holdfast run" in result.output
    checked = call("validate")
    assert checked.exit_code == 0, checked.output
    assert "ok, system shop, 1 service, 2 members, 2 probes, revision" in checked.output


def test_init_leaves_an_existing_file_alone(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text("mine")
    result = call("init")
    assert result.exit_code == 1
    assert "--force" in result.output
    assert (folder / "holdfast.yaml").read_text() == "mine"
    assert call("init", "--force").exit_code == 0
    assert (folder / "holdfast.yaml").read_text().startswith("# holdfast keeps")


def test_init_into_a_folder_that_is_not_there_says_so(call: Call, folder: Path) -> None:
    result = call("init", "--file", str(folder / "no" / "holdfast.yaml"))
    assert result.exit_code == 1
    assert "cannot be written" in result.output


def test_init_with_a_name_that_cannot_be_writes_nothing(call: Call, folder: Path) -> None:
    result = call("init", "--system", "My Shop")
    assert result.exit_code == 2
    assert 'system = "My Shop": must be a name' in result.output
    assert not (folder / "holdfast.yaml").exists()


@pytest.mark.parametrize("verb", ["validate", "plan", "run"])
def test_a_folder_in_a_files_place_is_told_to_be_one(call: Call, folder: Path, verb: str) -> None:
    (folder / "shop").mkdir()
    result = call(verb, "shop")
    assert result.exit_code == 2
    assert result.output.splitlines() == [
        "holdfast: shop: is a folder",
        "  name the file in it, as shop/holdfast.yaml",
    ]


@pytest.mark.parametrize("name", ["no", "on", "null", "2024", "1e3", "0x1f"])
def test_init_takes_a_name_that_yaml_would_read_as_something_else(call: Call, name: str) -> None:
    assert call("init", "--system", name).exit_code == 0
    assert f"ok, system {name}," in call("validate").output


def test_init_of_several_hosts_takes_such_names_too(call: Call) -> None:
    hosts = ("--hosts", "on=10.0.0.1,no=10.0.0.2", "--coordinator", "etcd://10.0.0.3")
    assert call("init", "--system", "null", *hosts).exit_code == 0
    assert "ok, system null," in call("validate").output


def test_init_into_a_folder_asks_for_the_file_in_it(call: Call, folder: Path) -> None:
    (folder / "shop").mkdir()
    result = call("init", "--file", "shop")
    assert result.exit_code == 1
    assert "name the file in it, as shop/holdfast.yaml" in result.output


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user to whom permissions apply; who is one already stays so."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def as_one_shut_out_of(folder: Path) -> Iterator[None]:
    """Be a user who may not look into the folder."""
    folder.chmod(0)
    try:
        with as_nobody():
            yield
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("verb", ["status", "validate"])
def test_a_folder_that_one_may_not_look_into_is_told(call: Call, folder: Path, verb: str) -> None:
    with as_one_shut_out_of(folder):
        result = call(verb)
    assert result.exit_code == 2, result.output
    assert "holdfast.yaml: cannot be read: Permission denied" in result.output
    assert "--directory" in result.output


def test_another_hosts_agent_is_asked_though_the_file_may_not_be_read(call: Call, folder: Path) -> None:
    with as_one_shut_out_of(folder):
        result = call("--host", "127.0.0.1:1", "status")
    assert result.exit_code == 2, result.output
    assert "--host needs certificates" in result.output
    assert "Permission denied" in result.output


def test_a_journal_that_may_not_be_read_is_told_to_be_one(call: Call, folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state" / "journal.sqlite").touch()
    (folder / "state").chmod(0)
    folder.chmod(0o711)
    with as_nobody():
        result = call("replay", "state/journal.sqlite")
    assert result.exit_code == 1, result.output
    assert "cannot be read: Permission denied" in result.output


def test_a_state_directory_that_one_may_pass_through_but_not_list_is_taken(call: Call, folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state").chmod(0o111)
    folder.chmod(0o711)
    with as_nobody():
        result = call("status", "--directory", "state")
    assert result.exit_code in {1, 5}, (
        result.output
    )  # no agent runs, or it may not be asked: the folders above tell
    assert "/state" in result.output
    assert "not readable" not in result.output


def test_a_pipe_is_no_file_to_be_read_twice(call: Call) -> None:
    result = call("validate", "/dev/null")
    assert result.exit_code == 2
    assert "/dev/null: is no regular file" in result.output


@pytest.mark.parametrize(
    ("name", "folder_name"), [("my-shop", "My Shop"), ("system", "---"), ("a" * 40, "a" * 60), ("x1", ".x1.")]
)
def test_a_system_is_called_after_its_folder(name: str, folder_name: str) -> None:
    assert system_name(folder_name) == name


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


def test_validate_names_every_mistake_with_its_place(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text(
        "system: shop\nservices:\n  web: {mode: both, run: [x], colour: red}\n"
    )
    result = call("validate")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("holdfast.yaml:3:") for line in lines)


def test_validate_without_a_file_says_how_to_get_one(call: Call) -> None:
    result = call("validate")
    assert result.exit_code == 2
    assert "holdfast init" in result.output


def test_validate_as_json_is_the_policy(call: Call) -> None:
    call("init", "--system", "shop")
    assert json.loads(call("validate", "--json").output)["system"] == "shop"


def test_schema_is_a_json_schema(call: Call) -> None:
    assert "properties" in json.loads(call("schema").output)


def test_plan_without_an_agent_starts_from_nothing(call: Call) -> None:
    call("init")
    result = call("plan")
    assert result.exit_code == 0
    assert "compared with nothing: no agent runs" in result.output
    assert "+ web/web-1 is new: it is started" in result.output
    assert call("plan", "--detailed-exitcode").exit_code == 2


def test_plan_of_a_named_file_needs_no_other_one_to_know_the_agent(call: Call, folder: Path) -> None:
    call("init", "--system", "shop", "--file", "new.yaml")
    result = call("plan", "new.yaml")
    assert result.exit_code == 0, result.output
    assert "compared with nothing: no agent runs" in result.output


def test_plan_compares_with_the_running_agent(call: Call, folder: Path) -> None:
    call("init", "--system", "shop")
    with running(StandIn(worlds.calm()), folder / "agent"):
        result = call("plan", "--directory", str(folder / "agent"))
    assert "compared with the running agent, revision 4f1c" in result.output
    assert "! web/web-1 is restarted" in result.output


def test_plan_with_a_detailed_exit_code_tells_an_error_from_changes(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text("system: shop\nservices: 3\n")
    assert call("plan", "--detailed-exitcode").exit_code == 1
    assert call("plan").exit_code == 2


def test_simulate_of_a_component_that_is_not_there_is_a_usage_error(call: Call) -> None:
    call("init")
    result = call("simulate", "--kill", "web/web-9")
    assert result.exit_code == 2
    assert "web/web-1, web/web-2" in result.output


def test_run_of_a_file_with_mistakes_exits_with_2(call: Call, folder: Path) -> None:
    (folder / "holdfast.yaml").write_text("system: shop\nservices: 3\n")
    assert call("run").exit_code == 2
    assert call("run", "nowhere.yaml").exit_code == 2


def test_init_for_several_hosts_writes_a_file_that_validates(call: Call, folder: Path) -> None:
    result = call(
        "init",
        "--hosts",
        "h1=10.0.0.1,h2=10.0.0.2,h3=fd00::3",
        "--coordinator",
        "etcd://10.0.0.1:2379,10.0.0.2:2379",
    )
    assert result.exit_code == 0, result.output
    assert "holdfast secret --out" in result.output
    told = call("validate")
    assert told.exit_code == 0
    assert "2 services, 6 members, 6 probes, 3 hosts" in told.output


@pytest.mark.parametrize(
    ("hosts", "coordinator", "said"),
    [
        ("h1", "etcd://10.0.0.1", "does not name each host once"),
        ("h1=10.0.0.1,h1=10.0.0.2", "etcd://10.0.0.1", "does not name each host once"),
        ("h1=10.0.0.1", "etcd://10.0.0.1", "hosts"),
        ("h1=10.0.0.1,h2=10.0.0.2", "ftp://10.0.0.1", "cluster.coordinator"),
        ("h1=10.0.0.1,h2=10.0.0.2", 'etcd://10.0.0.1"', "cluster.coordinator"),
    ],
)
def test_init_for_several_hosts_writes_nothing_that_is_not_valid(
    call: Call, folder: Path, hosts: str, coordinator: str, said: str
) -> None:
    result = call("init", "--hosts", hosts, "--coordinator", coordinator)
    assert result.exit_code == 2
    assert said in result.output
    assert not (folder / "holdfast.yaml").exists()


def test_init_for_several_hosts_needs_both_options(call: Call) -> None:
    assert call("init", "--hosts", "h1=10.0.0.1,h2=10.0.0.2").exit_code == 2
