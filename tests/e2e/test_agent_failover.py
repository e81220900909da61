"""A real agent, real processes, a real HAProxy: what breaks is noticed, moved away from, and mended."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.living import (
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


def pair(system: LivingSystem, ports: list[int], **more: Any) -> dict[str, Any]:
    """Return an active-standby service of two servers behind HAProxy."""
    return {
        "mode": "active-standby",
        "members": {"web-1": {"port": ports[0]}, "web-2": {"port": ports[1]}},
        "run": {"command": system.server(), "stop": {"grace": "2s"}},
        "probes": fast(),
        "traffic": {"listen": f"127.0.0.1:{ports[2]}"},
        **more,
    }


def start_pair(system: LivingSystem, **more: Any) -> int:
    """Start an agent with a pair that serves `web-1`; return the port for clients."""
    ports = free_ports(3)
    system.write({"web": pair(system, ports, **more)})
    system.start()
    system.until(
        lambda s: is_up(s, "web/web-1", "web/web-2") and service(s, "web").active == "web-1", "both up"
    )
    await_that(lambda: fetch(ports[2]) == "web-1", "web-1 serves through HAProxy")
    return ports[2]


def test_standby_serves_when_the_active_is_killed_and_the_killed_one_comes_back(system: LivingSystem) -> None:
    port = start_pair(system)
    before = system.status()

    os.kill(pid_of(before, "web/web-1"), signal.SIGKILL)
    killed_at = time.monotonic()
    await_that(lambda: fetch(port) == "web-2", "web-2 serves")
    assert time.monotonic() - killed_at < 5

    after = system.until(
        lambda s: (
            is_up(s, "web/web-1", "web/web-2") and not s.incidents and service(s, "web").active == "web-2"
        ),
        "web-1 is back and the incident is closed",
    )
    assert pid_of(after, "web/web-1") != pid_of(before, "web/web-1")
    assert pid_of(after, "web/web-2") == pid_of(before, "web/web-2")
    assert service(after, "web").epoch > service(before, "web").epoch
    with system.client() as client:
        (record,) = [record for record in client.incidents() if record.incident.service == "web"]
        assert client.incident(record.incident.id).closed is not None
    assert system.said("web", "incident", f"incident={record.incident.id}")
    assert system.said("web", "restored", f"incident={record.incident.id}")


def test_standby_serves_when_the_active_is_frozen(system: LivingSystem) -> None:
    port = start_pair(system, restart={"hang_grace": "500ms"})
    frozen = pid_of(system.status(), "web/web-1")

    os.kill(frozen, signal.SIGSTOP)
    await_that(lambda: fetch(port) == "web-2", "web-2 serves")
    after = system.until(
        lambda s: is_up(s, "web/web-1", "web/web-2") and not s.incidents,
        "the frozen one was ended and is back",
    )
    assert pid_of(after, "web/web-1") != frozen


def test_haproxy_itself_is_restarted_when_it_is_killed(system: LivingSystem) -> None:
    port = start_pair(system)
    before = system.status()

    os.kill(pid_of(before, "haproxy/haproxy"), signal.SIGKILL)
    system.until(
        lambda s: (
            member(s, "haproxy/haproxy").pid not in {None, pid_of(before, "haproxy/haproxy")}
            and is_up(s, "haproxy/haproxy")
        ),
        "another HAProxy runs",
    )
    await_that(lambda: fetch(port) == "web-1", "it sends to web-1")
    assert pid_of(system.status(), "web/web-1") == pid_of(before, "web/web-1")


def test_haproxy_is_restarted_when_it_hangs_though_its_process_runs(system: LivingSystem) -> None:
    port = start_pair(system)
    # One that never answered in this life has the time of a start: it has to be heard of first.
    status = system.until(lambda s: all(one.lane for one in service(s, "web").members), "it is read back")
    main = pid_of(status, "haproxy/haproxy")
    for worker in Path(f"/proc/{main}/task/{main}/children").read_text("ascii").split():
        os.kill(int(worker), signal.SIGSTOP)

    status = system.until(lambda s: s.incidents, "the silence is an incident", within_s=60)
    assert status.incidents[0].service == "haproxy"
    await_that(lambda: fetch(port) == "web-1", "traffic flows again", within_s=60)
    status = system.until(lambda s: not s.incidents, "the incident is closed", within_s=60)
    assert pid_of(status, "haproxy/haproxy") != main
    assert system.said("haproxy", "process_hung")


@pytest.mark.final
def test_singleton_moves_and_two_never_run_at_once(system: LivingSystem) -> None:
    ports = free_ports(2)
    job = {
        "mode": "singleton",
        "members": {"job-1": {"port": ports[0]}, "job-2": {"port": ports[1]}},
        "run": {"command": system.server(notes="{service}"), "stop": {"grace": "2s"}},
        "probes": fast(),
        "restart": {"max": 20},
    }
    system.write({"job": job})
    system.start()

    def running(status: Any) -> list[int]:
        return [
            one.pid for one in service(status, "job").members if one.pid is not None and one.status == "up"
        ]

    for _ in range(4):
        status = system.until(lambda s: len(running(s)) == 1 and service(s, "job").serving, "one runs")
        (victim,) = running(status)
        os.kill(victim, signal.SIGKILL)
        died = victim
        system.until(lambda s: running(s) not in ([], [died]), "another life runs")  # noqa: B023 - used at once
    assert system.noted("job").count("start") == 5
    assert "overlap" not in system.noted("job")


def test_member_that_keeps_dying_is_given_up_and_the_agent_says_so(system: LivingSystem) -> None:
    broken = {
        "run": ["/bin/sh", "-c", "exit 3", str(system.folder)],
        "restart": {"max": 3, "window": "30s", "backoff": "10ms"},
    }
    system.write({"broken": broken})
    system.start()

    system.until(lambda s: member(s, "broken/broken-1").gave_up, "it is given up")
    status = system.until(
        lambda s: any(item.rule == "budget_spent" for item in service(s, "broken").withheld),
        "and why is told",
    )
    assert status.incidents
    await_that(lambda: system.said("broken/broken-1", "gave-up"), "the log says so")


def test_dependent_starts_only_once_what_it_depends_on_serves(system: LivingSystem) -> None:
    ports = free_ports(2)
    slow = {"command": system.server(), "env": {"SLOW_START_S": "1"}}
    system.write(
        {
            "app": {"port": ports[1], "run": system.server(), "probes": fast(), "depends_on": ["db"]},
            "db": {"port": ports[0], "run": slow, "probes": fast()},
        }
    )
    system.start()
    status = system.until(
        lambda s: any(item.rule == "dependency_down" for item in service(s, "app").withheld),
        "why it waits is told",
    )
    assert member(status, "app/app-1").pid is None
    system.until(lambda s: is_up(s, "app/app-1", "db/db-1"), "both up")
    started = {name: int(system.notes(name).read_text("utf-8").split()[4]) for name in ("app-1", "db-1")}
    assert started["app-1"] - started["db-1"] > 1_000_000_000
