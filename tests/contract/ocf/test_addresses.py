"""A virtual address moves between hosts, its neighbours follow, and a host whose agent is frozen loses it. Real namespaces."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.components.stage import Stage
from tests.contract.guard.watch import Watch
from tests.lab.network import Host, Network, is_permitted

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not is_permitted(), reason="network namespaces need root")]

PROGRAM = Path(__file__).parent / "address_host.py"


class AddressHost:
    """A host on which an agent looks after the address."""

    def __init__(self, host: Host, directory: Path, address: str) -> None:
        directory.mkdir()
        self.host = host
        self.directory = directory
        self.address = address
        self._process = subprocess.Popen(
            [*host.prefix, sys.executable, str(PROGRAM), str(directory), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._line() == "ready"

    def tell(self, command: str) -> str:
        """Have it do something; return what it says."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        return self._line()

    def has_address(self) -> bool:
        shown = json.loads(self.host.run(["ip", "-json", "addr", "show", "dev", "eth0"]))
        return any(one["local"] == self.address for one in shown[0]["addr_info"])

    def hardware(self) -> str:
        """Return the hardware address of its link."""
        shown = json.loads(self.host.run(["ip", "-json", "link", "show", "dev", "eth0"]))
        return str(shown[0]["address"])

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        stage = Stage(self.directory, use_cgroups=True)
        Watch(stage).clear()
        stage.clear()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(("h1", "h2")) as network:
        yield network


@pytest.fixture
def hosts(network: Network, tmp_path: Path) -> Iterator[tuple[AddressHost, AddressHost]]:
    address = network["h1"].address.rpartition(".")[0] + ".200"
    first, second = (AddressHost(network[name], tmp_path / name, address) for name in ("h1", "h2"))
    try:
        yield first, second
    finally:
        first.end()
        second.end()
        for name in ("h1", "h2"):
            network[name].run(["ip", "addr", "flush", "to", address])


def await_(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def neighbour(network: Network, address: str) -> str:
    """Return which hardware address a client on the bridge has for `address`; empty: none."""
    lines = network.hub.run(["cat", "/proc/net/arp"]).splitlines()
    return next((line.split()[3] for line in lines if line.split()[0] == address), "")


def test_the_address_moves_and_clients_learn_of_it_without_asking(
    network: Network, hosts: tuple[AddressHost, AddressHost]
) -> None:
    first, second = hosts
    assert first.tell("start") == "done"
    assert first.has_address()
    with network.hub.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"who has it?", (first.address, 9))
    await_(lambda: neighbour(network, first.address) == first.hardware())
    assert first.tell("stop") == "done"
    assert not first.has_address()
    assert second.tell("start") == "done"
    assert second.has_address()
    # The client sends nothing from here on: the agent tells the neighbours, several times.
    await_(lambda: neighbour(network, first.address) == second.hardware())
    assert second.tell("stop") == "done"


def test_the_next_agent_finds_the_address_and_one_that_was_taken_away_is_missed(
    network: Network, hosts: tuple[AddressHost, AddressHost]
) -> None:
    first, _ = hosts
    assert first.tell("start") == "done"
    (seen,) = json.loads(first.tell("survey"))
    assert seen["component"] == "address/a"
    first.host.run(["ip", "addr", "del", f"{first.address}/24", "dev", "eth0"])
    await_(lambda: json.loads(first.tell("survey")) == [])


def test_the_guard_takes_the_address_from_a_host_whose_agent_is_frozen(
    network: Network, hosts: tuple[AddressHost, AddressHost]
) -> None:
    first, second = hosts
    assert first.tell("start") == "done"
    assert first.tell("arm 1000") == "armed"
    assert first.has_address()
    await_(lambda: not first.has_address())
    assert second.tell("start") == "done"
    assert second.tell("stop") == "done"
