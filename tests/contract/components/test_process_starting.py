"""Starting processes: what they are given, what is refused and how it is said, what they print."""

import asyncio
import grp
import json
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.components.cgroups import Cgroups
from holdfast.model.events import Ending
from holdfast.model.policy import ProcessSpec, SecretFrom
from holdfast.model.value import replace
from tests.contract.components.stage import COMPONENT, FOREVER, Agent, Stage, run, shell, staged, until

pytestmark = pytest.mark.e2e

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, use_cgroups=Cgroups.find("try").of("a/b") is not None) as stage:
        yield stage


async def _refusal(agent: Agent, spec: ProcessSpec) -> str:
    result = await agent.processes.start(COMPONENT, spec, 1, is_primary=False)
    assert result.ending is Ending.FAILED
    assert result.incarnation is None
    assert await agent.processes.survey() == ()
    return result.error


def _descriptors(pid: int) -> dict[int, str]:
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed since it was listed
            found[int(entry.name)] = str(entry.readlink())
    return found


def _refused(stage: Stage, spec: ProcessSpec) -> str:
    async def story() -> str:
        async with stage.agent() as agent:
            return await _refusal(agent, spec)

    return run(story())


# --- what it is given -------------------------------------------------------------------------------------


def test_the_environment_is_small_and_says_who_it_is(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTS_OWN", "not for components")

    async def story() -> dict[str, str]:
        async with stage.agent() as agent:
            await agent.start(shell("env -0", env={"COLOUR": "green", "HOLDFAST_EPOCH": "99"}), epoch=6)
            await agent.exit()
        return dict(entry.partition("=")[::2] for entry in stage.output().split("\0") if entry)

    variables = run(story())
    assert variables["COLOUR"] == "green"
    assert variables["HOLDFAST_COMPONENT"] == COMPONENT
    assert (variables["HOLDFAST_SERVICE"], variables["HOLDFAST_MEMBER"]) == ("orders", "a")
    assert variables["HOLDFAST_EPOCH"] == "6"
    assert variables["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir
    ours = {name for name in variables if name.startswith("HOLDFAST_")}
    assert set(variables) - ours <= {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "COLOUR",
        "PWD",
        "OLDPWD",
        "_",
        "SHLVL",
    }


def test_a_process_has_its_own_session_no_input_and_no_descriptor_of_ours(stage: Stage) -> None:
    ours = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(ours, True)

    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(ProcessSpec(command=FOREVER))
            pid = int(incarnation.partition(":")[0])
            assert os.getsid(pid) == pid
            log = str(stage.folder.output)
            # The starter closes what it needed itself only when it becomes the program.
            await until(lambda: _descriptors(pid) == {0: "/dev/null", 1: log, 2: log})

    run(story())
    os.close(ours)


def test_it_works_in_its_own_folder_or_where_it_was_told_to(stage: Stage, tmp_path: Path) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell("pwd -P"))
            await agent.exit()
            await agent.start(shell("pwd -P", directory=str(tmp_path)))
            await until(lambda: len(agent.ears.exits) == 2)
        assert stage.output().split() == [str(stage.folder.working), str(tmp_path)]

    run(story())


def test_secrets_come_from_files_and_from_the_agents_environment(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("first line\nsecond line\n", encoding="utf-8")
    monkeypatch.setenv("THE_TOKEN", "tok-123")
    env = {"PASSWORD": SecretFrom(file=str(tmp_path / "password")), "TOKEN": SecretFrom(env="THE_TOKEN")}

    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell('printf %s "$PASSWORD|$TOKEN"', env=env))
            detail = (await agent.exit()).detail
            assert stage.output() == "first line\nsecond line|tok-123"
            assert "tok-123" not in detail, "what a process prints of its secrets must not reach the journal"

    run(story())


def test_nothing_that_is_written_down_holds_a_secret(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "tok-123")

    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(ProcessSpec(command=FOREVER, env={"TOKEN": SecretFrom(env="THE_TOKEN")}))
            written = [path for path in stage.directory.rglob("*") if path.is_file()]
            assert written
            assert not any(b"tok-123" in path.read_bytes() for path in written)

    run(story())


@needs_root
def test_a_process_runs_as_its_user_with_that_users_groups_and_inside_its_control_group(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            spec = shell("id -u; id -g; id -G; echo $HOME; touch mine && echo could write", user="nobody")
            await agent.start(spec)
            assert (await agent.exit()).code == 0
            await agent.start(replace(spec, command=FOREVER))
            if (group := stage.cgroups.of(COMPONENT)) is not None:
                assert group.pids() == stage.marked()
        nobody = pwd.getpwnam("nobody")
        uid, gid, groups, home, wrote = stage.output().splitlines()
        assert (int(uid), int(gid), home) == (nobody.pw_uid, nobody.pw_gid, nobody.pw_dir)
        assert sorted(map(int, groups.split())) == sorted(os.getgrouplist("nobody", nobody.pw_gid))
        assert wrote == "could write"

    run(story())


@needs_root
def test_a_group_of_its_own_replaces_the_users(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell("id -g", user="nobody", group="daemon"))
            await agent.exit()
        assert int(stage.output()) == grp.getgrnam("daemon").gr_gid

    run(story())


def test_the_agents_folders_are_closed_to_others(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(ProcessSpec(command=FOREVER))
        assert stat.S_IMODE(stage.folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE((stage.folder.path / "record.json").stat().st_mode) == 0o600

    run(story())


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": ("no-such-program",)}, "program 'no-such-program' is not on PATH"),
        ({"command": ("/no/such/program",)}, "program /no/such/program does not exist"),
        ({"command": ("/etc/passwd",)}, "program /etc/passwd may not be executed"),
        ({"command": ()}, "command is empty"),
        ({"directory": "/no/such/directory"}, "directory /no/such/directory does not exist"),
        ({"user": "no-such-user"}, "user 'no-such-user' does not exist on this host"),
        ({"group": "no-such-group"}, "group 'no-such-group' does not exist on this host"),
        ({"env": {"KEY": SecretFrom(file="/no/key")}}, "env.KEY: secret file /no/key cannot be read"),
        ({"env": {"KEY": SecretFrom(env="NO_SUCH")}}, "env.KEY: variable NO_SUCH is not in holdfast's own"),
        ({"env": {"KEY": "a\0b"}}, "env.KEY holds a zero byte"),
    ],
)
def test_a_refusal_names_what_is_wrong(stage: Stage, changes: dict[str, object], said: str) -> None:
    assert said in _refused(stage, replace(ProcessSpec(command=FOREVER), **changes))


def test_a_refusal_never_tells_a_secret(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"tok\0-123")
    error = _refused(stage, ProcessSpec(command=FOREVER, env={"KEY": SecretFrom(file=str(tmp_path / "key"))}))
    assert "env.KEY" in error
    assert "-123" not in error


def test_a_script_without_its_first_line_is_refused(stage: Stage, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello\n", encoding="utf-8")
    script.chmod(0o700)
    assert "`#!`" in _refused(stage, ProcessSpec(command=(str(script),)))


# --- what it prints -----------------------------------------------------------------------------------------


def test_output_is_kept_in_two_files_of_bounded_size_while_it_runs(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            line = "x" * 99
            spec = shell(f"while :; do for i in 1 2 3 4 5 6 7 8 9 10; do echo {line}; done; sleep 0.01; done")
            await agent.start(replace(spec, log_max_bytes=20_000))
            full = stage.folder.path / "output.log.1"
            await until(full.exists)
            first = full.stat().st_mtime_ns
            await until(lambda: full.stat().st_mtime_ns > first and full.stat().st_size > 0)
            assert full.stat().st_size <= 20_000
            assert set(full.read_text(encoding="utf-8").split()) <= {line, line[:-1]} | {
                line[n:] for n in range(99)
            }

    run(story())


def test_a_full_output_is_put_away_at_start(stage: Stage) -> None:
    stage.folder.make()
    stage.folder.output.write_text("old\n" * 1000, encoding="utf-8")

    async def story() -> None:
        async with stage.agent() as agent:
            await agent.start(shell("echo new", log_max_bytes=1000))
            assert (await agent.exit()).detail == "last output: new"
            await agent.stop(ProcessSpec(command=FOREVER))
        assert stage.output() == "new\n"
        assert (stage.folder.path / "output.log.1").stat().st_size == 1000

    run(story())


def test_a_start_does_not_hold_up_the_event_loop(stage: Stage) -> None:
    async def story() -> float:
        async with stage.agent() as agent:
            loop, longest = asyncio.get_running_loop(), 0.0
            starting = asyncio.create_task(agent.start(ProcessSpec(command=FOREVER)))
            while not starting.done():
                before = loop.time()
                await asyncio.sleep(0)
                longest = max(longest, loop.time() - before)
            return longest

    assert run(story()) < 1.0


def test_a_record_is_json_for_people_too(stage: Stage) -> None:
    async def story() -> None:
        async with stage.agent() as agent:
            incarnation = await agent.start(ProcessSpec(command=FOREVER), epoch=2, is_primary=True)
        record = json.loads((stage.folder.path / "record.json").read_bytes())
        assert f"{record['pid']}:{record['ticks']}" == incarnation
        assert (record["epoch"], record["is_primary"]) == (2, True)

    run(story())
