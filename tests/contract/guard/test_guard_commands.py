"""What is no process is taken back by commands at the deadline, for as long as it takes. Real programs."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.components.guarding import facts_to_be
from holdfast.guard.commands import WITHIN, Commands
from holdfast.guard.facts import Facts
from holdfast.model.policy import ProcessSpec
from holdfast.model.time import MILLISECOND, SECOND
from tests.contract.components.stage import COMPONENT, FOREVER, pid_of, run, runs, staged, until
from tests.contract.guard.watch import (
    LONG,
    Watch,
    gone,
    nothing_overdue,
    now,
    status_of,
    until_status,
    watched,
)

pytestmark = pytest.mark.e2e

SOON = 300 * MILLISECOND


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    with staged(tmp_path, use_cgroups=False) as stage, watched(stage) as watch:
        yield watch


def script(folder: Path, name: str, text: str) -> str:
    """Write a program; return its path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def facts_with(watch: Watch, *commands: tuple[str, ...], variables: tuple[str, ...] = ()) -> Facts:
    facts = facts_to_be(watch.directory, COMPONENT)
    return Facts(0, 0, facts.boot, facts.marks, "", commands, variables)


def test_a_command_runs_at_the_deadline_with_nothing_but_its_own_variables(
    watch: Watch, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    release = script(tmp_path, "release", 'env >"$OUT.new"; echo "$1" >>"$OUT.new"; mv "$OUT.new" "$OUT"')
    facts = facts_with(watch, (release, "stop"), variables=(f"OUT={said}", "PATH=/usr/bin:/bin"))

    async def story() -> None:
        async with watch.guarding() as guarding:
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, facts, now() + SOON) is None
            assert not said.exists()
            await until(said.exists)
            (ended,) = (await nothing_overdue(guarding)).ended
            assert ended.component == COMPONENT
        lines = said.read_text().splitlines()
        assert lines[-1] == "stop"
        assert {line.partition("=")[0] for line in lines[:-1]} <= {
            "OUT",
            "PATH",
            "PWD",
            "SHLVL",
            "_",
            "OLDPWD",
        }

    run(story())


def test_processes_are_killed_and_the_command_is_run_too(watch: Watch, tmp_path: Path) -> None:
    said = tmp_path / "said"
    release = script(tmp_path, "release", f"touch {said}; exit 7")

    async def story() -> None:
        async with watch.stage.agent() as agent, watch.guarding() as guarding:
            await status_of(guarding)
            pid = pid_of(await agent.start(ProcessSpec(command=FOREVER)))
            assert await guarding.arm(COMPONENT, facts_with(watch, (release,)), now() + SOON) is None
            await gone(pid)
            await until(said.exists)
            assert (await nothing_overdue(guarding)).armed == {}, "7: it was not there, which is as good"

    run(story())


def test_a_command_that_fails_is_tried_until_it_works_and_is_overdue_meanwhile(
    watch: Watch, tmp_path: Path
) -> None:
    allowed, tries = tmp_path / "allowed", tmp_path / "tries"
    release = script(tmp_path, "release", f"echo >>{tries}; test -f {allowed}")

    async def story() -> None:
        async with watch.guarding() as guarding:
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, facts_with(watch, (release,)), now() + SOON) is None
            await until(lambda: tries.exists() and len(tries.read_text().splitlines()) >= 2)
            assert (await status_of(guarding)).armed[COMPONENT].is_overdue
            refused = await guarding.extend({COMPONENT: now() + LONG})
            assert COMPONENT in refused
            allowed.touch()
            await until_status(guarding, lambda status: not status.armed)

    run(story())


def test_the_next_guard_goes_on_where_one_was_killed(watch: Watch, tmp_path: Path) -> None:
    allowed, tries = tmp_path / "allowed", tmp_path / "tries"
    release = script(tmp_path, "release", f"echo >>{tries}; test -f {allowed}")

    async def story() -> None:
        async with watch.guarding() as guarding:
            await status_of(guarding)
            assert await guarding.arm(COMPONENT, facts_with(watch, (release,)), now() + SOON) is None
            await until(tries.exists)
            for pid in watch.guards():
                os.kill(pid, signal.SIGKILL)
            allowed.touch()
            await until_status(guarding, lambda status: not status.armed)

    run(story())


def test_commands_travel_as_they_were_meant_and_are_refused_if_they_name_no_program() -> None:
    facts = Facts(0, 0, "boot", ("A=b",), "", (("/bin/release", "stop"),), ("OUT=x",))
    assert Facts.from_json(facts.as_json()).as_json() == facts.as_json()
    assert "commands" not in Facts(5, 1, "boot").as_json(), "a guard of an older version knows none"
    wrongs: list[object] = [[["release"]], [[]], ["release"], [["/bin/release", 5]], [["/bin/a"]] * 5]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"facts\.commands"):
            Facts.from_json({**facts.as_json(), "commands": wrong})
    with pytest.raises(ValueError, match=r"facts\.variables"):
        Facts.from_json({**facts.as_json(), "variables": ["no setting"]})


# --- the commands themselves: their clock is an argument ---------------------------------------------------


def go_on(commands: Commands, at: int) -> None:
    """Let real programs run, while the clock of the guard stands still."""
    give_up = time.monotonic() + 20
    while commands._pid and time.monotonic() < give_up:
        commands.go_on(at)
    assert not commands._pid


def test_they_run_in_their_order_and_the_last_one_counts(tmp_path: Path) -> None:
    said = tmp_path / "said"
    first = script(tmp_path, "first", f"echo first >>{said}; exit 1")
    second = script(tmp_path, "second", f"echo second >>{said}; test -f {tmp_path}/allowed")
    commands = Commands(((first,), (second,)), ("PATH=/usr/bin:/bin",))
    commands.go_on(0)
    go_on(commands, 0)
    was_over = commands.is_over
    assert commands.trouble == f"{second} ended with 1"
    (tmp_path / "allowed").touch()
    commands.go_on(0)
    assert said.read_text().split() == ["first", "second"], "not before a pause"
    commands.go_on(SECOND)
    go_on(commands, SECOND)
    assert (was_over, commands.is_over) == (False, True)
    assert said.read_text().split() == ["first", "second", "first", "second"]


def test_one_that_hangs_is_killed_with_its_children_and_tried_again(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hanging = script(tmp_path, "hanging", f"sleep 1000 & echo $! $$ >>{pids}; wait")
    commands = Commands(((hanging,),), ("PATH=/usr/bin:/bin",))
    commands.go_on(0)
    run(until(lambda: pids.exists() and len(pids.read_text().split()) == 2))
    child, main = map(int, pids.read_text().split())
    commands.go_on(WITHIN - 1)
    assert runs(main)
    commands.go_on(WITHIN)
    go_on(commands, WITHIN)
    run(gone(child, main))
    assert not commands.is_over
    assert commands.trouble == f"{hanging} ended with -9"


def test_one_that_is_not_there_is_trouble_and_no_end(tmp_path: Path) -> None:
    commands = Commands(((f"{tmp_path}/nowhere", "stop"),), ())
    commands.go_on(0)
    assert not commands.is_over
    assert commands.trouble == f"{tmp_path}/nowhere cannot be run: No such file or directory"
