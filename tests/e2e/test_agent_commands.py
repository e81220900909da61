"""What operators ask for over the control socket, and who may."""

import grp
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.client import ControlError
from holdfast.agent.protocol import (
    DrainRequest,
    ErrorKind,
    PauseRequest,
    ReloadRequest,
    RestartRequest,
    ResumeRequest,
    SwitchoverRequest,
)
from tests.e2e.living import LivingSystem, await_that, fast, fetch, free_ports, is_up, member, pid_of, service

pytestmark = pytest.mark.e2e
NOBODY = 65534


def pair(system: LivingSystem, ports: list[int], **more: Any) -> dict[str, Any]:
    return {
        "mode": "active-standby",
        "members": {"web-1": {"port": ports[0]}, "web-2": {"port": ports[1]}},
        "run": {"command": system.server(), "stop": {"grace": "2s"}},
        "probes": fast(),
        **more,
    }


def start_pair(system: LivingSystem, **more: Any) -> None:
    system.write({"web": pair(system, free_ports(2), **more)})
    system.start()
    system.until(
        lambda s: is_up(s, "web/web-1", "web/web-2") and service(s, "web").active == "web-1", "both up"
    )


def test_switchover_waits_until_the_other_serves_and_restarts_nothing(system: LivingSystem) -> None:
    ports = free_ports(3)
    system.write({"web": pair(system, ports, traffic={"listen": f"127.0.0.1:{ports[2]}"})})
    system.start()
    before = system.until(lambda s: is_up(s, "web/web-1", "web/web-2"), "both up")
    await_that(lambda: fetch(ports[2]) == "web-1", "web-1 serves")

    tried = system.do(SwitchoverRequest(service="web", to="web-2", dry_run=True))
    assert tried.dry_run
    assert tried.begins_with
    assert service(system.status(), "web").active == "web-1"

    accepted = system.do(SwitchoverRequest(service="web", to="web-2", why="a test", wait_s=15))
    assert accepted.done
    assert fetch(ports[2]) == "web-2"
    after = system.status()
    assert service(after, "web").active == "web-2"
    assert [pid_of(after, c) for c in ("web/web-1", "web/web-2")] == [
        pid_of(before, c) for c in ("web/web-1", "web/web-2")
    ]


def test_refused_command_tells_every_reason_and_changes_nothing(system: LivingSystem) -> None:
    start_pair(system)
    with pytest.raises(ControlError) as refused:
        system.do(SwitchoverRequest(service="web", to="web-1"))
    assert refused.value.kind is ErrorKind.REFUSED
    assert any("web-1" in reason for reason in refused.value.reasons)
    await_that(lambda: system.said("control", "refused", "asked for by"), "the log has it")
    with pytest.raises(ControlError, match="no member 'web-9'; it has: web-1, web-2") as unknown:
        system.do(SwitchoverRequest(service="web", to="web-9"))
    assert unknown.value.kind is ErrorKind.USAGE


def test_nothing_is_done_while_paused_and_everything_after_resume(system: LivingSystem) -> None:
    start_pair(system)
    system.do(PauseRequest(for_s=600, why="a test"))
    victim = pid_of(system.status(), "web/web-1")
    os.kill(victim, signal.SIGKILL)
    status = system.until(lambda s: member(s, "web/web-1").status == "down", "the failure is seen")
    assert status.paused is not None
    assert status.paused.why == "a test"
    status = system.until(
        lambda s: any(item.rule == "paused" for item in service(s, "web").withheld),
        "what is not done is told",
    )
    assert member(status, "web/web-1").pid is None
    assert service(status, "web").active == "web-1"

    system.do(ResumeRequest())
    system.until(lambda s: is_up(s, "web/web-1", "web/web-2") and not s.incidents, "mended")
    assert system.noted("web-1") == ["start", "start"]


def test_restart_takes_one_member_at_a_time(system: LivingSystem) -> None:
    start_pair(system)
    before = system.status()
    accepted = system.do(RestartRequest(target="web", why="a test", wait_s=20))
    assert accepted.done
    after = system.status()
    for component in ("web/web-1", "web/web-2"):
        assert pid_of(after, component) != pid_of(before, component)
    assert all(system.noted(name) == ["start", "stop", "start"] for name in ("web-1", "web-2"))


def test_drained_member_gives_its_role_away_and_gets_it_back_only_after_resume(system: LivingSystem) -> None:
    start_pair(system)
    system.do(DrainRequest(component="web/web-1", why="a test"))
    status = system.until(lambda s: service(s, "web").active == "web-2", "web-2 serves")
    drain = member(status, "web/web-1").drain
    assert drain is not None
    assert drain.why == "a test"
    with pytest.raises(ControlError) as refused:
        system.do(DrainRequest(component="web/web-2"))
    assert refused.value.kind is ErrorKind.REFUSED
    system.do(ResumeRequest(target="web/web-1"))
    system.until(
        lambda s: member(s, "web/web-1").drain is None and is_up(s, "web/web-1"), "not drained any more"
    )


def test_watcher_is_told_of_a_change(system: LivingSystem) -> None:
    start_pair(system)
    with system.client() as client:
        told = client.watch(within_s=15)
        victim = pid_of(next(told), "web/web-2")
        os.kill(victim, signal.SIGKILL)
        for status in told:
            if member(status, "web/web-2").pid not in {None, victim}:
                break


def test_reload_restarts_only_what_changed(system: LivingSystem) -> None:
    ports = free_ports(4)
    services = {
        "web": pair(system, ports),
        "job": {"port": ports[2], "run": system.server(), "probes": fast()},
    }
    system.write(services)
    system.start()
    before = system.until(lambda s: is_up(s, "web/web-1", "web/web-2", "job/job-1"), "all up")

    services["job"]["run"] = {"command": system.server(), "env": {"COLOUR": "green"}}
    services["new"] = {"port": ports[3], "run": system.server(), "probes": fast()}
    system.write(services)
    assert system.do(ReloadRequest()).done
    after = system.until(
        lambda s: (
            is_up(s, "new/new-1", "job/job-1") and member(s, "job/job-1").pid != pid_of(before, "job/job-1")
        ),
        "the new one runs and the changed one was restarted",
    )
    for component in ("web/web-1", "web/web-2"):
        assert pid_of(after, component) == pid_of(before, component)

    del services["new"]
    system.write(services)
    assert system.agent is not None
    system.agent.send_signal(signal.SIGHUP)
    system.until(lambda s: len(s.services) == 2, "the new one is gone from the status")
    await_that(lambda: system.noted("new-1") == ["start", "stop"], "it was stopped in good order")


def test_bad_reload_is_refused_with_each_error_and_the_old_file_goes_on(system: LivingSystem) -> None:
    start_pair(system)
    before = system.status()
    system.file.write_text(
        system.file.read_text("utf-8").replace('"active-standby"', '"active-sandby"'), "utf-8"
    )
    with pytest.raises(ControlError) as refused:
        system.do(ReloadRequest())
    assert refused.value.kind is ErrorKind.CONFIGURATION
    assert any("services.web.mode" in reason for reason in refused.value.reasons)
    after = system.status()
    assert after.agent.revision == before.agent.revision
    assert "1 error" in after.agent.problem
    assert pid_of(after, "web/web-1") == pid_of(before, "web/web-1")
    assert system.said("reload", "services.web.mode")

    os.kill(pid_of(after, "web/web-2"), signal.SIGKILL)
    system.until(
        lambda s: is_up(s, "web/web-2") and member(s, "web/web-2").pid != pid_of(after, "web/web-2"),
        "still mended",
    )


ASK_AS = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from holdfast.agent.client import ControlClient, ControlError
    os.setgroups([int(group) for group in sys.argv[3].split(",") if group])
    os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
    try:
        print("ok", ControlClient(Path(sys.argv[1])).ping().pid)
    except ControlError as error:
        print(error.kind.value, error)
""")


def ask_as(uid: int, directory: Path, *groups: int) -> str:
    command = [
        sys.executable,
        "-c",
        ASK_AS,
        str(directory),
        str(uid),
        ",".join(str(group) for group in groups),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def open_way_to(folder: Path) -> None:
    """Let everybody pass through the folders above that pytest has made for its own user."""
    for above in folder.parents:
        if above.stat().st_mode & 0o777 == 0o700:
            above.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_other_users_are_refused_even_where_the_files_let_them_through(system: LivingSystem) -> None:
    start_pair(system)
    open_way_to(system.directory)
    denied = ask_as(NOBODY, system.directory)
    assert denied.startswith("denied you may not talk to the agent")

    system.directory.chmod(0o755)
    (system.directory / "control.sock").chmod(0o666)
    denied = ask_as(NOBODY, system.directory)
    assert denied.startswith("denied user nobody may not: only root")
    await_that(lambda: system.said("control", "denied", "nobody", f"uid {NOBODY}"), "the log has it")
    assert ask_as(0, system.directory).startswith("ok")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_members_of_the_group_may_and_see_nothing_else(system: LivingSystem) -> None:
    group = grp.getgrgid(NOBODY).gr_name
    system.write({"web": pair(system, free_ports(2))}, control={"group": group})
    system.start()
    system.until(lambda s: is_up(s, "web/web-1", "web/web-2"), "both up")
    open_way_to(system.directory)
    assert ask_as(NOBODY, system.directory).startswith("ok")
    assert system.directory.stat().st_mode & 0o777 == 0o710
    assert system.directory.stat().st_gid == NOBODY
    for entry in system.directory.iterdir():
        if entry.name != "control.sock":
            assert entry.stat().st_mode & 0o007 == 0, entry
            assert entry.stat().st_gid != NOBODY, entry

    system.write({"web": json.loads(system.file.read_text("utf-8"))["services"]["web"]})
    system.do(ReloadRequest())
    assert ask_as(NOBODY, system.directory).startswith("denied")


def test_past_can_be_asked_for(system: LivingSystem) -> None:
    start_pair(system)
    os.kill(pid_of(system.status(), "web/web-2"), signal.SIGKILL)
    await_that(lambda: system.noted("web-2") == ["start", "start"], "it is restarted")
    system.until(lambda s: not s.incidents and is_up(s, "web/web-2"), "mended")
    with system.client() as client:
        told = client.explain_data()
        assert [turn.turn.sequence for turn in told.turns] == sorted(
            turn.turn.sequence for turn in told.turns
        )
        assert any(turn.turn.decisions for turn in told.turns)
        assert told.state.policy.system == "test"
        assert len(client.explain_data(turns=3).turns) == 3
        assert min(point.value for point in client.health("web")[-4:]) < 1.0
        assert client.health()[-1].value == 1.0
        assert client.state().state.boot == told.state.boot


def test_state_directory_and_socket_are_closed_to_others(system: LivingSystem) -> None:
    start_pair(system)
    assert system.directory.stat().st_mode & 0o777 == 0o700
    assert (system.directory / "control.sock").stat().st_mode & 0o777 == 0o660


def test_removed_socket_is_made_anew(system: LivingSystem) -> None:
    start_pair(system)
    socket = system.directory / "control.sock"
    socket.unlink()
    await_that(socket.exists, "the socket being made anew")
    assert system.status().system == "test"
    assert socket.stat().st_mode & 0o777 == 0o660


def test_nonsense_on_the_socket_is_answered_with_what_is_wrong(system: LivingSystem) -> None:
    start_pair(system)
    for line, complaint in (
        (b"not json\n", "not a request"),
        (b'{"verb": "explode"}\n', "not a request"),
        (b'{"verb": "drain", "component": 7}\n', "not a request"),
        (b'{"verb": "status", "extra": 1}\n', "not a request"),
        (b"\xff\xfe\n", "not a request"),
        (b"[" * 100_000 + b"\n", "not a request"),
        (b"x" * (1 << 20) + b"xxx\n", "at most 1048576 bytes"),
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(15)
            connection.connect(str(system.directory / "control.sock"))
            connection.sendall(line)
            answer = json.loads(connection.makefile("rb").readline())
            assert answer["ok"] is False
            assert answer["error"]["kind"] == "usage"
            assert complaint in answer["error"]["message"]
    assert is_up(system.status(), "web/web-1")


def test_many_silent_connections_do_not_keep_the_agent_from_its_work(system: LivingSystem) -> None:
    start_pair(system)
    idle = []
    for _ in range(100):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(15)
        connection.connect(str(system.directory / "control.sock"))
        idle.append(connection)
    victim = pid_of_web(system)
    os.kill(victim, signal.SIGKILL)
    await_that(lambda: system.noted("web-2") == ["start", "start"], "it is restarted all the same")
    for connection in idle:
        connection.close()
    system.until(lambda s: is_up(s, "web/web-2"), "it answers again")


def pid_of_web(system: LivingSystem) -> int:
    found = [line.split() for line in system.notes("web-2").read_text("utf-8").splitlines()]
    return int(found[0][2])
