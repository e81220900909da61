"""The agent's own life: whatever happens to it, what it manages goes on, and the next agent finds it again."""

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.client import ControlError
from holdfast.agent.protocol import DownRequest, ErrorKind
from tests.e2e.living import (
    WITHIN_S,
    LivingSystem,
    await_that,
    fast,
    fetch,
    free_ports,
    is_up,
    member,
    pid_of,
    service,
)

pytestmark = pytest.mark.e2e


def two(system: LivingSystem) -> dict[str, Any]:
    ports = free_ports(3)
    return {
        "web": {
            "mode": "active-standby",
            "members": {"web-1": {"port": ports[0]}, "web-2": {"port": ports[1]}},
            "run": {"command": system.server(), "stop": {"grace": "2s"}},
            "probes": fast(),
        },
        "job": {"port": ports[2], "run": system.server(), "probes": fast()},
    }


COMPONENTS = ("web/web-1", "web/web-2", "job/job-1")


def start_two(system: LivingSystem) -> dict[str, int]:
    system.write(two(system))
    system.start()
    system.until(lambda s: is_up(s, *COMPONENTS) and service(s, "web").active, "all up")
    status = system.until(lambda s: service(s, "web").serving, "promoted")
    return {component: pid_of(status, component) for component in COMPONENTS}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_components_outlive_the_agent_and_the_next_one_adopts_them(
    system: LivingSystem, number: signal.Signals
) -> None:
    pids = start_two(system)
    active, epoch = service(system.status(), "web").active, service(system.status(), "web").epoch

    code = system.end(number)
    assert code == (-number if number is signal.SIGKILL else 0)
    assert all(Path(f"/proc/{pid}").exists() for pid in pids.values())
    with pytest.raises(ControlError) as caught:
        system.status()
    assert caught.value.kind is ErrorKind.UNREACHABLE

    system.start()
    system.until(lambda s: is_up(s, *COMPONENTS), "all up again")
    # It may have been killed while its word to promote was under way: then that is brought to an end first.
    status = system.until(lambda s: member(s, f"web/{active}").role == "primary", "the role is settled")
    assert {component: pid_of(status, component) for component in COMPONENTS} == pids
    assert service(status, "web").active == active
    assert service(status, "web").epoch >= epoch
    assert [system.noted(name) for name in ("web-1", "web-2", "job-1")] == [["start"]] * 3
    if number is not signal.SIGKILL:
        assert system.said("leaving", "holdfast down")


def test_adopted_component_that_dies_is_noticed_and_restarted_under_a_higher_epoch(
    system: LivingSystem,
) -> None:
    pids = start_two(system)
    epoch = service(system.status(), "job").epoch
    system.end(signal.SIGKILL)
    system.start()
    system.until(lambda s: is_up(s, *COMPONENTS), "adopted")

    os.kill(pids["job/job-1"], signal.SIGKILL)
    status = system.until(
        lambda s: is_up(s, "job/job-1") and member(s, "job/job-1").pid != pids["job/job-1"], "another life"
    )
    assert service(status, "job").epoch > epoch


def test_what_died_while_no_agent_ran_is_restarted_by_the_next_one(system: LivingSystem) -> None:
    pids = start_two(system)
    system.end(signal.SIGKILL)
    os.kill(pids["web/web-2"], signal.SIGKILL)
    system.start()
    status = system.until(
        lambda s: is_up(s, *COMPONENTS) and member(s, "web/web-2").pid != pids["web/web-2"], "web-2 is back"
    )
    assert pid_of(status, "web/web-1") == pids["web/web-1"]


def test_agent_killed_again_and_again_while_it_starts_components_leaves_one_of_each(
    system: LivingSystem,
) -> None:
    system.write(two(system))
    for _ in range(5):
        system.start()
        await_that(lambda: system.directory.exists() and system.log.stat().st_size, "it began")
        system.end(signal.SIGKILL)
    system.start()
    system.until(lambda s: is_up(s, *COMPONENTS), "all up")
    assert all("overlap" not in system.noted(name) for name in ("web-1", "web-2", "job-1"))


def test_down_stops_everything_and_the_agent_ends(system: LivingSystem) -> None:
    ports = free_ports(2)
    services = two(system)
    services["front"] = {
        "port": ports[0],
        "run": system.server(),
        "probes": fast(),
        "depends_on": ["web"],
        "traffic": {"listen": f"127.0.0.1:{ports[1]}"},
    }
    system.write(services)
    agent = system.start()
    system.until(lambda s: is_up(s, *COMPONENTS, "front/front-1", "haproxy/haproxy"), "all up")

    accepted = system.do(DownRequest(wait_s=15))
    assert accepted.done
    assert agent.wait(15) == 0
    system.agent = None
    assert system.processes() == []
    assert system.noted("front-1") == ["start", "stop"]
    assert system.said("leaving", "everything is stopped")

    system.start()
    system.until(lambda s: is_up(s, *COMPONENTS, "front/front-1", "haproxy/haproxy"), "up again after down")


def test_traffic_goes_on_without_an_agent_and_haproxy_fails_over_alone(system: LivingSystem) -> None:
    ports = free_ports(3)
    web = {
        "mode": "active-standby",
        "members": {"web-1": {"port": ports[0]}, "web-2": {"port": ports[1]}},
        "run": {"command": system.server(), "stop": {"grace": "2s"}},
        "probes": fast(),
        "traffic": {"listen": f"127.0.0.1:{ports[2]}"},
    }
    system.write({"web": web}, haproxy={"check_every": "200ms"})
    system.start()
    before = system.until(lambda s: is_up(s, "web/web-1", "web/web-2"), "both up")
    await_that(lambda: fetch(ports[2]) == "web-1", "web-1 serves")
    assert system.end(signal.SIGTERM) == 0
    assert all(fetch(ports[2]) == "web-1" for _ in range(20))

    os.kill(pid_of(before, "web/web-1"), signal.SIGKILL)
    await_that(lambda: fetch(ports[2]) == "web-2", "HAProxy goes to web-2 by itself")
    system.start()
    after = system.until(lambda s: is_up(s, "web/web-1", "web/web-2", "haproxy/haproxy"), "mended")
    assert pid_of(after, "haproxy/haproxy") == pid_of(before, "haproxy/haproxy")
    assert pid_of(after, "web/web-2") == pid_of(before, "web/web-2")


def test_systemd_is_told_when_it_is_ready_and_that_it_lives(system: LivingSystem) -> None:
    address = system.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(address))
        systemd.settimeout(15)
        system.write(two(system))
        system.start(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="600000")

        def hear(*words: bytes) -> None:
            missing, give_up_at = set(words), time.monotonic() + WITHIN_S
            while missing:
                assert time.monotonic() < give_up_at, f"never heard {missing}"
                message = systemd.recv(4096)
                missing = {word for word in missing if not message.startswith(word)}

        hear(b"READY=1", b"WATCHDOG=1", b"STATUS=test: health 1.00, 2/2 services serve")
        hear(b"WATCHDOG=1")
        hear(b"WATCHDOG=1")
        assert system.agent is not None
        system.agent.send_signal(signal.SIGHUP)
        hear(b"RELOADING=1")
        hear(b"READY=1")
        system.agent.send_signal(signal.SIGTERM)
        hear(b"STOPPING=1")


def test_second_agent_on_the_same_directory_is_refused_and_told_by_whom(system: LivingSystem) -> None:
    start_two(system)
    first = system.agent
    assert first is not None
    second = system.start()
    system.agent = first
    assert second.wait(15) == 1
    assert f"another agent (pid {first.pid}) runs on {system.directory}" in system.log.read_text("utf-8")
    assert is_up(system.status(), *COMPONENTS)


def test_agent_with_a_bad_file_does_not_start_and_names_each_error(system: LivingSystem) -> None:
    system.file.write_text("system: test\nservices:\n  web:\n    mod: singleton\n    run: [x]\n    port: 0\n")
    assert system.start().wait(15) == 2
    said = system.log.read_text("utf-8")
    assert f"{system.file}:4:5: services.web.mod" in said
    assert f"{system.file}:6:" in said
    assert not system.directory.exists()
