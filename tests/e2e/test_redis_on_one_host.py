"""Redis on one host: two servers, one agent, no coordinator."""

import os
import shutil
import signal
from typing import Any

import pytest

from tests.e2e.living import LivingSystem, free_ports, is_up, pid_of, service
from tests.lab.redis_service import exchange

pytestmark = pytest.mark.e2e

PASSWORD = "the clients' password"
COMPONENTS = ("cache/a", "cache/b")


def test_the_other_server_serves_with_all_data_when_the_primary_is_killed(system: LivingSystem) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server on this host: tools/bootstrap installs it")
    secret = system.folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    first, second, listen, sentinel = free_ports(4)
    run = {
        "data": str(system.folder / "{member}"),
        "password": str(secret),
        "parameters": {"save": '""', "set-proc-title": "no"},  # so that the stage finds it
        "sentinel": f"127.0.0.1:{sentinel}",
    }
    system.write(
        {
            "cache": {
                "mode": "active-standby",
                "members": {"a": {"port": first}, "b": {"port": second}},
                "traffic": {"listen": f"127.0.0.1:{listen}", "protocol": "tcp"},
                "run": {"redis": run},
            }
        }
    )
    system.start()

    def ask(port: int, *commands: tuple[str | int, ...]) -> list[Any] | None:
        answers = exchange(("127.0.0.1", port), ("AUTH", PASSWORD), *commands, within_s=10)
        return None if answers is None else answers[1:]

    def serving() -> int:
        system.until(lambda s: is_up(s, *COMPONENTS) and service(s, "cache").serving, "one serves")
        system.until(lambda _: ask(listen, ("SET", "x", 1)) == ["OK"], "the balancer leads to it")
        told = exchange(("127.0.0.1", sentinel), ("SENTINEL", "get-master-addr-by-name", "cache"))
        assert told is not None
        assert isinstance(told[0], list)
        port = told[0][1]
        assert isinstance(port, bytes)
        return int(port)

    def follows(port: int) -> bool:
        told = ask(port, ("ROLE",))
        return told is not None and told[0][0] == b"slave" and told[0][3] == b"connected"

    old = serving()
    other = second if old == first else first
    system.until(lambda _: follows(other), "the other one follows")
    assert ask(listen, *(("RPUSH", "seen", number) for number in range(100))) is not None
    name = "a" if old == first else "b"
    system.until(lambda _: ask(other, ("LLEN", "seen")) == [100], "it has everything")
    os.kill(pid_of(system.status(), f"cache/{name}"), signal.SIGKILL)
    system.until(
        lambda _: ask(other, ("ROLE",)) is not None and not follows(other), "the other one is promoted"
    )
    system.until(lambda _: ask(listen, ("LLEN", "seen")) == [100], "all is there")
    system.until(lambda _: follows(old), "the old one came back empty, and has a copy")
    assert ask(old, ("LLEN", "seen")) == [100]
