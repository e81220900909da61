import os
import socket
from pathlib import Path

import pytest

from holdfast.agent.notify import Notifier, from_environment
from holdfast.model.time import SECOND


@pytest.fixture
def systemd(tmp_path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "notify"))
    listener.settimeout(10)
    return listener


def test_each_message_is_one_datagram(systemd: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"), 3 * SECOND)
    with systemd:
        notifier.ready()
        notifier.alive()
        notifier.status("fine\nREADY=1")
        notifier.reloading(17)
        notifier.stopping()
        got = [systemd.recv(1000) for _ in range(5)]
    assert got == [
        b"READY=1",
        b"WATCHDOG=1",
        b"STATUS=fine READY=1",
        b"RELOADING=1\nMONOTONIC_USEC=17",
        b"STOPPING=1",
    ]
    assert notifier.alive_every == SECOND
    notifier.ready()  # nobody listens any more: nothing happens
    notifier.close()


def test_environment_is_read_and_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@holdfast-test-nobody-listens")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = from_environment()
    assert notifier.alive_every == 10 * SECOND
    assert "NOTIFY_SOCKET" not in os.environ
    assert "WATCHDOG_USEC" not in os.environ
    notifier.close()


def test_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@holdfast-test-nobody-listens")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    notifier = from_environment()
    assert notifier.alive_every is None
    notifier.close()


def test_without_systemd_nothing_is_sent() -> None:
    notifier = Notifier(None, None)
    notifier.ready()
    notifier.close()
