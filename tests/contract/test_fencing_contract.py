"""Fencing, held to its contract with Debian's fence agents and with agents that do what agents do at three in the morning."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from holdfast.fencing.running import LEAVE_WITHIN, OUTPUT_MAX, run
from holdfast.model.events import Ending
from holdfast.model.policy import SecretFrom
from holdfast.model.time import SECOND
from holdfast.ports.fencing import Fenced, Fencing, Power
from tests.contract.fencing_stage import (
    PATIENCE,
    agent,
    asked,
    by_agent,
    by_command,
    fenced,
    gone,
    played,
    until,
)

SHORT = 2 * SECOND  # a time limit that is meant to pass

WORKS = 'case $action in off) echo "Success: Powered OFF" ;; status) exit 2 ;; esac'


# --- off, and seen to be off --------------------------------------------------------------------------


def test_debians_own_agent_turns_a_host_off_and_its_status_confirms_it(tmp_path: Path) -> None:
    state = tmp_path / "h1"
    state.write_text("on")
    answer = fenced(by_agent("fence_dummy", status_file=str(state)))
    assert answer.ending is Ending.DONE
    assert state.read_text() == "off"
    assert answer.text == "fence_dummy ended with 0: Success: Powered OFF; its status then is off"
    assert 0 < answer.took < PATIENCE * SECOND


def test_a_host_that_is_off_already_is_done(tmp_path: Path) -> None:
    state = tmp_path / "h1"
    state.write_text("off")
    answer = fenced(by_agent("fence_dummy", status_file=str(state)))
    assert answer.ending is Ending.DONE
    assert "Already OFF" in answer.text


def test_only_off_and_status_are_asked_never_reboot(tmp_path: Path) -> None:
    assert fenced(by_agent(agent(tmp_path, WORKS))).ending is Ending.DONE
    assert asked(tmp_path) == ["off", "status"]


def test_a_device_that_accepts_and_stays_on_is_a_failure(tmp_path: Path) -> None:
    answer = fenced(by_agent(agent(tmp_path, "exit 0"), SHORT))
    assert answer.ending is Ending.FAILED
    assert answer.is_late
    assert answer.text == "the host is still on: fence_handmade ended with 0"
    assert asked(tmp_path).count("off") == 1


def test_a_device_that_takes_its_time_is_asked_until_the_host_is_off(tmp_path: Path) -> None:
    slow = 'case $action in status) [ "$(grep -c status "$here/asked")" -lt 3 ] || exit 2 ;; esac'
    assert fenced(by_agent(agent(tmp_path, slow))).ending is Ending.DONE
    assert asked(tmp_path) == ["off", "status", "status", "status"]


def test_a_device_that_cannot_tell_its_status_proves_nothing(tmp_path: Path) -> None:
    answer = fenced(by_agent(agent(tmp_path, "[ $action = off ] || { echo no link >&2; exit 1; }"), SHORT))
    assert answer.ending is Ending.UNKNOWN
    assert "not known" in answer.text
    assert "no link" in answer.text


def test_a_real_agent_without_a_status_proves_nothing() -> None:
    answer = fenced(by_agent("fence_heuristics_ping", 4 * SECOND, ping_targets="127.0.0.1", ping_count="1"))
    assert answer.ending is Ending.UNKNOWN


def test_a_broken_agent_that_always_ends_with_the_code_for_off_proves_nothing(tmp_path: Path) -> None:
    answer = fenced(by_agent(agent(tmp_path, "exit 2")))
    assert answer.ending is Ending.UNKNOWN
    assert "proves nothing" in answer.text


def test_off_that_failed_is_tried_once_more_when_the_device_says_off(tmp_path: Path) -> None:
    once = 'case $action in off) [ "$(grep -c off "$here/asked")" -gt 1 ] || exit 1 ;; status) exit 2 ;; esac'
    assert fenced(by_agent(agent(tmp_path, once))).ending is Ending.DONE
    assert asked(tmp_path) == ["off", "status", "off", "status"]


def test_a_refused_off_of_a_host_that_is_on_fails_at_once(tmp_path: Path) -> None:
    answer = fenced(by_agent(agent(tmp_path, "[ $action = status ] || { echo wrong outlet >&2; exit 1; }")))
    assert answer.ending is Ending.FAILED
    assert not answer.is_late
    assert "wrong outlet" in answer.text


def test_a_device_that_nobody_can_reach_is_no_proof_of_anything() -> None:
    options = {
        "ip": "127.0.0.1",
        "username": "u",
        "password": "swordfish",
        "plug": "1",
        "ssh_options": "-F /dev/null",
    }
    answer = fenced(by_agent("fence_virsh", 20 * SECOND, **options))
    assert answer.ending is Ending.UNKNOWN
    assert "fence_virsh ended with 1" in answer.text
    assert "swordfish" not in answer.text


# --- what is not there --------------------------------------------------------------------------------


def test_an_agent_that_is_not_installed_fails_with_what_to_install() -> None:
    answer = fenced(by_agent("fence_toaster"))
    assert answer.ending is Ending.FAILED
    assert answer.text == "fence_toaster is not installed on this host: apt-get install fence-agents"


def test_an_agent_is_found_though_sbin_is_not_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert fenced(by_agent("fence_dummy", status_file=str(tmp_path / "h1"))).ending is Ending.DONE


def test_a_path_that_is_no_program_fails(tmp_path: Path) -> None:
    plain = tmp_path / "fence_plain"
    for path in ("/nowhere/fence_it", str(plain)):
        plain.write_text("no program\n")
        answer = fenced(by_agent(path))
        assert answer.ending is Ending.FAILED
        assert answer.text == f"{path} is not there, or is no program that may be run"


def test_a_program_that_the_kernel_cannot_run_fails(tmp_path: Path) -> None:
    path = tmp_path / "fence_odd"
    path.write_text("#!/nowhere/interpreter\n")
    path.chmod(0o755)
    answer = fenced(by_agent(str(path)))
    assert answer.ending is Ending.FAILED
    assert "cannot be run: no such file or directory" in answer.text


# --- time limits --------------------------------------------------------------------------------------


def test_an_agent_that_hangs_is_ended_with_its_children_and_its_answer_is_unknown(tmp_path: Path) -> None:
    body = 'sleep 300 & echo $$ $! >"$here/pids"; wait'
    answer = fenced(by_agent(agent(tmp_path, body), SHORT))
    assert (answer.ending, answer.is_late) == (Ending.UNKNOWN, True)
    assert "did not end in time" in answer.text
    assert gone(*pids_in(tmp_path / "pids"))


def test_an_agent_whose_off_hangs_though_the_host_goes_off_is_tried_again(tmp_path: Path) -> None:
    # As an agent does that turns the host off and then waits for a prompt that never comes.
    body = (
        'case $action in off) [ "$(grep -c off "$here/asked")" -gt 1 ] || sleep 300 ;; status) exit 2 ;; esac'
    )
    assert fenced(by_agent(agent(tmp_path, body), 5 * SECOND)).ending is Ending.DONE


def test_an_agent_may_log_out_of_its_device_before_it_is_killed(tmp_path: Path) -> None:
    body = """trap 'echo bye >"$here/$action-logged-out"; exit 1' TERM; sleep 300 & wait"""
    fenced(by_agent(agent(tmp_path, body), SHORT))
    assert (tmp_path / "off-logged-out").read_text() == "bye\n"


def test_an_agent_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    body = 'trap "" TERM; sleep 300 & echo $$ $! >"$here/pids"; while :; do wait; done'
    began = time.monotonic()
    answer = fenced(by_agent(agent(tmp_path, body), SHORT))
    assert answer.ending is Ending.UNKNOWN
    assert time.monotonic() - began >= LEAVE_WITHIN
    assert gone(*pids_in(tmp_path / "pids"))


def test_a_child_that_holds_the_output_open_delays_nothing(tmp_path: Path) -> None:
    body = f'sleep 300 & echo $! >>"$here/pids"\n{WORKS}'
    assert fenced(by_agent(agent(tmp_path, body))).ending is Ending.DONE
    assert gone(*pids_in(tmp_path / "pids"))


def test_an_agent_that_prints_without_end_is_listened_to_in_bounds(tmp_path: Path) -> None:
    body = f"head -c {8 * OUTPUT_MAX} /dev/zero | tr '\\0' x; echo; echo the end\n{WORKS}"
    answer = fenced(by_agent(agent(tmp_path, body)))
    assert answer.ending is Ending.DONE
    assert "the end" in answer.text
    assert len(answer.text) < 1000


def test_of_an_output_without_end_the_last_is_kept() -> None:
    script = f"head -c {8 * OUTPUT_MAX} /dev/zero; echo the end"
    ran = asyncio.run(run(["sh", "-c", script], PATIENCE))
    assert (ran.code, len(ran.printed)) == (0, OUTPUT_MAX)
    assert ran.printed.endswith(b"the end\n")


def test_an_agent_that_never_reads_its_options_cannot_hold_us_up(tmp_path: Path) -> None:
    path = tmp_path / "fence_deaf"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    assert fenced(by_agent(str(path), plug="x" * 30_000)).ending is Ending.UNKNOWN


# --- what the agent is told ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["state", " a b ", '"quoted"', "it's=#1", "größe"])
def test_an_option_arrives_at_a_real_agent_as_it_stands_in_the_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    # Relative to the root, so that the odd name is also the beginning and the end of the value.
    state = Path(f"/tmp/{name}") if name.strip() != name else folder / name
    try:
        state.write_text("on")
        assert fenced(by_agent("fence_dummy", status_file=str(state))).ending is Ending.DONE
        assert state.read_text() == "off"
    finally:
        state.unlink(missing_ok=True)


def test_quotes_and_blanks_around_a_value_reach_the_agents_own_library(tmp_path: Path) -> None:
    # Debian's agents strip a line and take one pair of quotes off; what they then have is what they are asked to print.
    path = tmp_path / "fence_printing"
    path.write_text(
        "#!/usr/bin/python3\nimport sys\nsys.path.append('/usr/share/fence')\nimport fencing\n"
        "opt = fencing.process_input(['login', 'passwd', 'no_status'])\n"
        f"open({str(tmp_path / 'got')!r}, 'a').write(repr(opt['--password']) + chr(10))\n"
        "sys.exit(2 if opt['--action'] == 'status' else 0)\n"
    )
    path.chmod(0o755)
    for secret in (" pad ", '"quoted"', '""', '"', "a'b\"c", "größe"):
        (tmp_path / "got").unlink(missing_ok=True)
        assert fenced(by_agent(str(path), password=secret)).ending is Ending.DONE
        assert (tmp_path / "got").read_text().splitlines() == [repr(secret)] * 2


@pytest.mark.parametrize(
    "text", ["1\naction=on", "1\raction=on", "1\0", "1\x0baction=on", "1\u2028action=on"]
)
def test_an_option_cannot_smuggle_in_another(tmp_path: Path, text: str) -> None:
    answer = fenced(by_agent(agent(tmp_path, WORKS), plug=text))
    assert answer.ending is Ending.FAILED
    assert "options.plug holds a line end" in answer.text
    assert not asked(tmp_path)


def test_no_option_changes_what_is_asked_for(tmp_path: Path) -> None:
    fenced(by_agent(agent(tmp_path, WORKS), action="reboot"))
    assert asked(tmp_path) == ["off", "status"]


def test_the_agent_knows_which_host_is_meant(tmp_path: Path) -> None:
    fenced(by_agent(agent(tmp_path, f'echo "$host" >"$here/host"\n{WORKS}')), host="h7")
    assert (tmp_path / "host").read_text() == "h7\n"


# --- secrets ------------------------------------------------------------------------------------------


def test_a_secret_is_read_when_it_is_needed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first one\n")
    policy = by_agent(
        agent(tmp_path, f'echo "$password" >"$here/got"\n{WORKS}'), password=SecretFrom(file=str(secret))
    )
    fenced(policy)
    assert (tmp_path / "got").read_text() == "first one\n"
    secret.write_text("second one\n")
    fenced(policy)
    assert (tmp_path / "got").read_text() == "second one\n"


def test_a_secret_may_come_from_our_environment_and_does_not_go_on_in_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PDU_PASSWORD", "swordfish")
    body = f'echo "$password" >"$here/got"; cat /proc/$$/cmdline /proc/$$/environ >"$here/seen"\n{WORKS}'
    fenced(by_agent(agent(tmp_path, body), password=SecretFrom(env="PDU_PASSWORD")))
    assert (tmp_path / "got").read_text() == "swordfish\n"
    assert b"swordfish" not in (tmp_path / "seen").read_bytes()


@pytest.mark.parametrize(
    "place", [SecretFrom(file="/nowhere/secret"), SecretFrom(env="NO_SUCH_VARIABLE_HERE")]
)
def test_a_secret_that_cannot_be_read_fails_and_its_place_is_named(tmp_path: Path, place: SecretFrom) -> None:
    answer = fenced(by_agent(agent(tmp_path, WORKS), password=place))
    assert answer.ending is Ending.FAILED
    assert answer.text.startswith("options.password: ")
    assert (place.file or place.env or "?") in answer.text
    assert not asked(tmp_path)


TELLTALE = """
echo "told: $password" >&2
echo "login failed for https://admin:$(python3 -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1]))' "$password")@h" >&2
python3 -c 'import sys; print(repr(sys.argv[1:]), file=sys.stderr)' "$password"
exit 1
"""


@pytest.mark.parametrize("is_reference", [True, False])
def test_an_agent_that_prints_its_secret_is_blotted_out(tmp_path: Path, is_reference: bool) -> None:
    secret = "it's a se/cret & \\more"
    (tmp_path / "secret").write_text(secret)
    place = SecretFrom(file=str(tmp_path / "secret")) if is_reference else secret
    answer = fenced(by_agent(agent(tmp_path, TELLTALE), password=place))
    assert answer.ending is Ending.UNKNOWN
    assert "told: ***" in answer.text
    assert "https://admin:***@h" in answer.text
    assert "cret" not in answer.text
    assert "more" not in answer.text


def test_a_secret_cut_in_half_by_the_bound_on_output_is_not_shown(tmp_path: Path) -> None:
    secret = "s" * 50 + "swordfish"
    body = f'printf "%s%0{OUTPUT_MAX - 20}d\\n" "$password" 0 >&2; exit 1'
    answer = fenced(by_agent(agent(tmp_path, body), password=secret))
    assert "fish" not in answer.text


# --- one at a time ------------------------------------------------------------------------------------


def test_a_second_request_joins_the_first(tmp_path: Path) -> None:
    policy = by_agent(agent(tmp_path, f"sleep 0.5\n{WORKS}"))

    async def act(fencing: Fencing) -> list[Fenced]:
        return list(await asyncio.gather(*(fencing.fence("h1", policy) for _ in range(5))))

    answers = played(act)
    assert {answer.ending for answer in answers} == {Ending.DONE}
    assert asked(tmp_path) == ["off", "status"]


def test_two_hosts_are_fenced_at_the_same_time(tmp_path: Path) -> None:
    # Each waits until the other has begun.
    body = (
        'echo >"$here/$host"; while ! [ -e "$here/h1" ] || ! [ -e "$here/h2" ]; do sleep 0.05; done\n' + WORKS
    )
    policy = by_agent(agent(tmp_path, body))

    async def act(fencing: Fencing) -> list[Fenced]:
        return list(await asyncio.gather(fencing.fence("h1", policy), fencing.fence("h2", policy)))

    assert {answer.ending for answer in played(act)} == {Ending.DONE}


def test_who_stops_waiting_does_not_stop_the_fencing(tmp_path: Path) -> None:
    policy = by_agent(agent(tmp_path, f'while ! [ -e "$here/go" ]; do sleep 0.05; done\n{WORKS}'))

    async def act(fencing: Fencing) -> Fenced:
        first = asyncio.create_task(fencing.fence("h1", policy))
        second = asyncio.create_task(fencing.fence("h1", policy))
        await until(lambda: asked(tmp_path) == ["off"])
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        (tmp_path / "go").touch()
        return await second

    assert played(act).ending is Ending.DONE
    assert asked(tmp_path) == ["off", "status"]


def test_after_one_fencing_the_next_is_a_new_one(tmp_path: Path) -> None:
    policy = by_agent(agent(tmp_path, WORKS))

    async def act(fencing: Fencing) -> None:
        await fencing.fence("h1", policy)
        await fencing.fence("h1", policy)

    played(act)
    assert asked(tmp_path) == ["off", "status"] * 2


def test_closing_ends_what_is_under_way_and_who_waits_learns_that_nothing_is_known(tmp_path: Path) -> None:
    policy = by_agent(agent(tmp_path, 'echo $$ >"$here/pids"; sleep 300'))

    async def act(fencing: Fencing) -> Fenced:
        waiting = asyncio.create_task(fencing.fence("h1", policy))
        await until(lambda: (tmp_path / "pids").exists() and bool((tmp_path / "pids").read_text().strip()))
        await fencing.close()
        return await waiting

    answer = played(act)
    assert answer.ending is Ending.UNKNOWN
    assert "holdfast was leaving" in answer.text
    assert gone(*pids_in(tmp_path / "pids"))


# --- a program of the operator's own ------------------------------------------------------------------


def test_a_program_that_ends_with_0_has_turned_the_host_off(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "300"]) as host:
        record = tmp_path / "h1.pid"
        record.write_text(str(host.pid))
        script = f'kill -9 "$(cat {tmp_path}/$HOLDFAST_HOST.pid)" && echo killed $HOLDFAST_HOST'
        answer = fenced(by_command("sh", "-c", script))
        assert host.wait(PATIENCE) == -signal.SIGKILL
    assert (answer.ending, answer.text) == (Ending.DONE, "sh ended with 0: killed h1")


def test_a_program_that_ends_with_anything_else_has_not() -> None:
    answer = fenced(by_command("sh", "-c", "echo no such outlet >&2; exit 3"))
    assert (answer.ending, answer.text) == (Ending.FAILED, "sh ended with 3: no such outlet")


def test_a_program_ended_by_a_signal_may_have_turned_it_off() -> None:
    answer = fenced(by_command("sh", "-c", "kill -SEGV $$"))
    assert (answer.ending, answer.text) == (Ending.UNKNOWN, "sh was ended by SIGSEGV")


def test_a_program_that_hangs_may_have_turned_it_off() -> None:
    answer = fenced(by_command("sleep", "300", timeout=SECOND))
    assert (answer.ending, answer.is_late) == (Ending.UNKNOWN, True)


def test_a_program_that_is_not_there_has_not() -> None:
    answer = fenced(by_command("/nowhere/pdu-off"))
    assert answer.ending is Ending.FAILED
    assert "no such file" in answer.text


# --- looking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [Power.ON, Power.OFF])
def test_looking_tells_whether_the_host_is_on_and_changes_nothing(tmp_path: Path, power: Power) -> None:
    state = tmp_path / "h1"
    state.write_text(power)
    policy = by_agent("fence_dummy", status_file=str(state))
    seen = played(lambda fencing: fencing.look("h1", policy))
    assert (seen.is_ready, seen.power) == (True, power)
    assert state.read_text() == power


def test_looking_asks_monitor_and_status_only(tmp_path: Path) -> None:
    policy = by_agent(agent(tmp_path, "exit 0"))
    assert played(lambda fencing: fencing.look("h1", policy)).is_ready
    assert asked(tmp_path) == ["monitor", "status"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo no route >&2; exit 1", "cannot be reached: fence_handmade ended with 1: no route"),
        ("[ $action = monitor ] || { echo no plug 9 >&2; exit 1; }", "does not know the host"),
    ],
)
def test_a_device_that_would_not_work_is_not_ready(tmp_path: Path, body: str, said: str) -> None:
    policy = by_agent(agent(tmp_path, body))
    seen = played(lambda fencing: fencing.look("h1", policy))
    assert (seen.is_ready, seen.power) == (False, Power.UNKNOWN)
    assert said in seen.text


def test_looking_at_an_agent_that_is_not_installed_says_what_to_install() -> None:
    seen = played(lambda fencing: fencing.look("h1", by_agent("fence_toaster")))
    assert not seen.is_ready
    assert "apt-get install fence-agents" in seen.text


def test_a_program_is_never_run_to_look(tmp_path: Path) -> None:
    policy = by_command("/usr/bin/touch", str(tmp_path / "done"))
    seen = played(lambda fencing: fencing.look("h1", policy))
    assert (seen.is_ready, seen.power) == (True, Power.UNKNOWN)
    assert not (tmp_path / "done").exists()
    assert not played(lambda fencing: fencing.look("h1", by_command("/nowhere/it"))).is_ready


def pids_in(record: Path) -> tuple[int, ...]:
    found = tuple(int(word) for word in record.read_text().split())
    assert found
    assert os.getpid() not in found
    return found
