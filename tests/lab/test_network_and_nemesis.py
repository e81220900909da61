"""The lab itself: hosts reach each other, and every fault does what its name says and ends when it is healed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.lab import cuts
from tests.lab.clocks import WallClock, at_boot_offset, can_move_wall_clock
from tests.lab.nemesis import Nemesis
from tests.lab.network import HUB, NAMESPACES, PREFIX, Host, Network, is_permitted, sweep
from tests.lab.reach import Listeners, connects, listening
from tests.lab.small_disks import SmallDisk

pytestmark = pytest.mark.skipif(not is_permitted(), reason="network namespaces need root")

HOSTS = ("h1", "h2", "h3", "h4", "h5")
ALL = {(one, other) for one in HOSTS for other in HOSTS if one != other}
WITHIN_S = 20.0


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(HOSTS) as found:
        yield found


@pytest.fixture(scope="module")
def listeners(network: Network) -> Iterator[Listeners]:
    with listening(network, (*HOSTS, HUB)) as found:
        yield found


@pytest.fixture
def nemesis(network: Network) -> Iterator[Nemesis]:
    found = Nemesis(network)
    try:
        yield found
    finally:
        found.heal()
        for host in network.everywhere:
            host.end()


def until(holds: Callable[[], object], what: str | Callable[[], str]) -> None:
    give_up_at = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < give_up_at, f"never came: {what if isinstance(what, str) else what()}"
        time.sleep(0.01)


def expect(listeners: Listeners, wanted: set[tuple[str, str]], names: tuple[str, ...] = HOSTS) -> None:
    """Wait until exactly these pairs hear each other: on a busy machine a datagram may be late."""
    seen: set[tuple[str, str]] = set()

    def is_so() -> bool:
        seen.clear()
        seen.update(listeners.map(names))
        return seen == wanted

    until(is_so, lambda: f"missing {wanted - seen}, too many {seen - wanted}")


def sleeper(host: Host, folder: Path) -> subprocess.Popen[bytes]:
    return host.start(["sleep", "600"], folder / "log")


def state(pid: int) -> str:
    """Return the kernel's letter for what a process does; Z for one that is dead."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


# --- the network --------------------------------------------------------------------------------------


def test_all_hosts_reach_each_other_and_the_hub(network: Network, listeners: Listeners) -> None:
    everywhere = (*HOSTS, HUB)
    expect(listeners, {(a, b) for a in everywhere for b in everywhere if a != b}, everywhere)


def test_hosts_do_not_reach_the_machine_they_run_on(network: Network) -> None:
    routes = network["h1"].run(["ip", "route"]).split()
    assert "default" not in routes
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        with network["h1"].entered(), pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_two_networks_side_by_side_do_not_meet() -> None:
    with Network(("h1",)) as one, Network(("h1",)) as other:
        assert one["h1"].namespace != other["h1"].namespace
        assert one["h1"].address != other["h1"].address


def test_a_network_that_ended_leaves_nothing(tmp_path: Path) -> None:
    with Network(("h1", "h2")) as network:
        process = sleeper(network["h1"], tmp_path)
        until(lambda: process.pid in network["h1"].pids(), "it runs there")
    assert process.returncode == -signal.SIGKILL
    assert not list(NAMESPACES.glob(f"{network.name}-*"))


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.lab.network import Network\n"
        "from tests.lab.small_disks import SmallDisk\n"
        "network = Network(('h1',)); network.raise_()\n"
        "SmallDisk(Path(sys.argv[2])).__enter__()\n"
        "print(network['h1'].namespace, flush=True); time.sleep(600)\n"
    )
    root, disk = str(Path(__file__).parents[2]), tmp_path / "disk"
    with subprocess.Popen([sys.executable, "-c", program, root, disk], stdout=subprocess.PIPE) as crashed:
        assert crashed.stdout is not None
        namespace = crashed.stdout.readline().decode().strip()
        assert namespace.startswith(PREFIX)
        sweep()
        assert (NAMESPACES / namespace).exists()  # its owner lives
        # A process that the run's death does not end, such as a component.
        orphan = subprocess.Popen(["nsenter", f"--net={NAMESPACES / namespace}", "sleep", "600"])
        left = Host("h1", namespace, "")
        until(lambda: orphan.pid in left.pids(), "it runs there")
        crashed.kill()
    sweep()
    assert orphan.wait(WITHIN_S) == -signal.SIGKILL
    assert not (NAMESPACES / namespace).exists()
    assert str(disk) not in Path("/proc/mounts").read_text("utf-8")


# --- partitions ---------------------------------------------------------------------------------------


def test_a_partition_cuts_both_sides_from_each_other_and_no_more(
    nemesis: Nemesis, listeners: Listeners
) -> None:
    small, large = {"h1", "h2"}, {"h3", "h4", "h5"}
    nemesis.partition(small, large)
    expect(listeners, ALL - {(a, b) for a, b in ALL if (a in small) != (b in small)})
    both_ways = {(HUB, "h1"), ("h1", HUB)}
    until(lambda: listeners.arriving(both_ways) == both_ways, "the clients' side sees both")
    nemesis.heal()
    expect(listeners, ALL)


def test_an_isolated_host_is_cut_from_hosts_and_clients(nemesis: Nemesis, listeners: Listeners) -> None:
    nemesis.isolate("h1")
    expect(listeners, {(a, b) for a, b in ALL if "h1" not in {a, b}})
    assert not listeners.arriving({(HUB, "h1"), ("h1", HUB)})


def test_a_silenced_host_hears_and_is_not_heard(nemesis: Nemesis, listeners: Listeners) -> None:
    nemesis.silence("h1")
    expect(listeners, {(a, b) for a, b in ALL if a != "h1"})


def test_a_deafened_host_is_heard_and_does_not_hear(nemesis: Nemesis, listeners: Listeners) -> None:
    nemesis.deafen("h1")
    expect(listeners, {(a, b) for a, b in ALL if b != "h1"})


def test_a_bridge_sees_both_sides_that_do_not_see_each_other(nemesis: Nemesis, listeners: Listeners) -> None:
    nemesis.bridge("h3", {"h1", "h2"}, {"h4", "h5"})
    on_one_side = {(a, b) for a, b in ALL if (a in {"h1", "h2"}) == (b in {"h1", "h2"})}
    with_the_bridge = {(a, b) for a, b in ALL if "h3" in {a, b}}
    expect(listeners, on_one_side | with_the_bridge)


def test_partitions_add_up_and_heal_together(nemesis: Nemesis, listeners: Listeners) -> None:
    nemesis.isolate("h1")
    nemesis.silence("h2")
    expect(listeners, {(a, b) for a, b in ALL if "h1" not in {a, b} and a != "h2"})
    nemesis.heal()
    expect(listeners, ALL)


def test_one_port_is_cut_for_one_client_also_on_its_own_host(network: Network, nemesis: Nemesis) -> None:
    with closing(_server(network["h1"], 7001)), closing(_server(network["h2"], 7001)):
        with closing(_server(network["h2"], 7002)):
            nemesis.cut_port(7001, ["h1"])
            assert not connects(network, "h1", "h2", 7001)
            assert not connects(network, "h1", "h1", 7001)
            until(lambda: connects(network, "h1", "h2", 7002), "another port is not cut")
        until(lambda: connects(network, "h3", "h1", 7001), "it still serves others")
        nemesis.heal()
        until(lambda: connects(network, "h1", "h2", 7001), "it is healed")


def test_an_open_connection_through_a_cut_is_silent_and_goes_on_after_it(
    network: Network, nemesis: Nemesis
) -> None:
    with closing(_server(network["h2"], 7003)) as server:
        with network["h1"].entered():
            client = socket.create_connection((network["h2"].address, 7003), timeout=WITHIN_S)
        accepted, _ = server.accept()
        with closing(client), closing(accepted):
            nemesis.partition({"h1"}, {"h2"})
            client.sendall(b"word")
            accepted.settimeout(0.2)
            with pytest.raises(TimeoutError):
                accepted.recv(4)
            nemesis.heal()
            accepted.settimeout(WITHIN_S)
            assert accepted.recv(4) == b"word"


def test_an_isolated_host_keeps_no_address_that_moved_away_from_it(
    network: Network, nemesis: Nemesis
) -> None:
    moved = f"{network.subnet}.100"
    network["h1"].run(["ip", "addr", "add", f"{moved}/24", "dev", "eth0"])
    network["h2"].run(["ip", "addr", "add", f"{moved}/24", "dev", "eth0"])
    try:
        nemesis.isolate("h1")
        network.hub.run(["ip", "neigh", "flush", "all"])
        # Both have it, as after a split; who asks for it finds the one that it can reach.
        with closing(_server(network["h2"], 7004, moved)):
            with network.hub.entered():
                client = socket.create_connection((moved, 7004), timeout=WITHIN_S)
            client.close()
    finally:
        for name in ("h1", "h2"):
            network[name].run(["ip", "addr", "del", f"{moved}/24", "dev", "eth0"])


def test_one_way_cuts_let_arp_pass_and_cuts_of_both_ways_do_not() -> None:
    one_way = cuts.at_bridge(cuts.one_way({"h1"}, {"h2", HUB}), HUB).splitlines()
    assert 'iifname "h1" oifname "h2" ether type != arp drop' in one_way
    assert 'iifname "h1" ether type != arp drop' in one_way
    both_ways = cuts.at_bridge(cuts.between({"h1"}, {"h2", HUB}), HUB).splitlines()
    assert 'iifname "h1" oifname "h2" drop' in both_ways
    assert 'oifname "h1" drop' in both_ways


def _server(host: Host, port: int, address: str = "") -> socket.socket:
    with host.entered():
        return socket.create_server((address or host.address, port))


# --- cables -------------------------------------------------------------------------------------------


def test_a_pulled_cable_takes_the_carrier_and_gives_it_back(
    network: Network, nemesis: Nemesis, listeners: Listeners
) -> None:
    def has_carrier() -> bool:
        return "LOWER_UP" in network["h1"].run(["ip", "link", "show", "eth0"])

    assert has_carrier()
    nemesis.pull_cable("h1")
    assert not has_carrier()
    expect(listeners, {(a, b) for a, b in ALL if "h1" not in {a, b}})
    nemesis.heal()
    assert has_carrier()
    expect(listeners, ALL)


def test_a_link_that_is_set_down_cuts_and_comes_back_with_its_address(
    nemesis: Nemesis, listeners: Listeners
) -> None:
    nemesis.set_link("h1", up=False)
    expect(listeners, {(a, b) for a, b in ALL if "h1" not in {a, b}})
    nemesis.set_link("h1", up=True)
    expect(listeners, ALL)


# --- processes and hosts ------------------------------------------------------------------------------


def test_a_frozen_process_still_accepts_connections_and_answers_when_it_is_thawed(
    network: Network, nemesis: Nemesis, tmp_path: Path
) -> None:
    program = (
        "import socket; s = socket.create_server(('0.0.0.0', 7010))\nwhile True: s.accept()[0].sendall(b'hi')"
    )
    server = network["h1"].start([sys.executable, "-c", program], tmp_path / "log")
    until(lambda: connects(network, "hub", "h1", 7010), "it listens")
    nemesis.freeze(server.pid)
    until(lambda: state(server.pid) == "T", "it is frozen")
    with network.hub.entered():
        client = socket.create_connection((network["h1"].address, 7010), timeout=WITHIN_S)
    with closing(client):
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(2)
        nemesis.heal()
        client.settimeout(WITHIN_S)
        assert client.recv(2) == b"hi"


def test_a_killed_process_is_dead_and_one_that_is_gone_is_no_error(
    network: Network, nemesis: Nemesis, tmp_path: Path
) -> None:
    victim = sleeper(network["h1"], tmp_path)
    nemesis.kill(victim.pid)
    assert victim.wait(WITHIN_S) == -signal.SIGKILL
    nemesis.kill(victim.pid)


def test_a_paused_host_does_nothing_and_goes_on_when_it_is_resumed(
    network: Network, nemesis: Nemesis, tmp_path: Path
) -> None:
    def states(host: str) -> list[str]:
        return [state(pid) for pid in network[host].pids()]

    # Each starts another while it is being frozen: none may slip through.
    program = "while :; do sleep 0.01; done"
    busy = [network["h1"].start(["sh", "-c", program], tmp_path / "log") for _ in range(3)]
    other = sleeper(network["h2"], tmp_path)
    until(lambda: len(network["h1"].pids()) >= 3, "they run")
    nemesis.pause("h1")
    # D: its child was stopped before it had begun, which it waits for in the kernel.
    until(lambda: set(states("h1")) <= {"T", "D"}, lambda: f"all are frozen: {states('h1')}")
    until(lambda: state(other.pid) == "S", "what runs on another host goes on to its sleep")
    nemesis.resume("h1")
    until(lambda: all(state(process.pid) != "T" for process in busy), "they go on")


def test_a_crashed_host_says_no_good_bye(
    network: Network, nemesis: Nemesis, listeners: Listeners, tmp_path: Path
) -> None:
    program = "import socket; s = socket.create_server(('0.0.0.0', 7011))\nc = s.accept()[0]; c.sendall(b'hi'); c.recv(1)"
    victim = network["h1"].start([sys.executable, "-c", program], tmp_path / "log")
    until(lambda: "7011" in network["h1"].run(["ss", "-ltn"]), "it listens")
    with network.hub.entered():
        client = socket.create_connection((network["h1"].address, 7011), timeout=WITHIN_S)
    with closing(client):
        assert client.recv(2) == b"hi"
        nemesis.crash("h1")
        assert victim.wait(WITHIN_S) == -signal.SIGKILL
        assert not network["h1"].pids()
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):  # neither an end nor a reset reached the client
            client.recv(1)
    nemesis.plug_in("h1")
    expect(listeners, ALL)


# --- disks and clocks ---------------------------------------------------------------------------------


def test_a_full_disk_takes_nothing_until_it_is_freed(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 1 << 20) as disk:
        (disk.place / "before").write_bytes(b"kept")
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.place / "more").write_bytes(b"x" * 8192)
        assert (disk.place / "before").read_bytes() == b"kept"
        disk.free()
        (disk.place / "more").write_bytes(b"x" * 8192)
    assert not list((tmp_path / "disk").iterdir())


TELL_CLOCKS = (
    "import sys, time\n"
    "for _ in sys.stdin: print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic(), flush=True)"
)


@pytest.mark.skipif(not can_move_wall_clock(), reason="the shim is built with a C compiler")
def test_a_wall_clock_jumps_for_a_running_process_and_the_others_do_not(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", TELL_CLOCKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **clock.environment},
    ) as teller:
        before = _clocks(teller)
        clock.set_ahead(-86_400)
        after = _clocks(teller)
        assert teller.stdin is not None
        teller.stdin.close()
    wall, boot, monotonic = (later - earlier for earlier, later in zip(before, after, strict=True))
    assert -86_401 < wall < -86_000
    assert 0 <= boot < 300
    assert 0 <= monotonic < 300


def test_a_host_may_have_been_booted_long_before(network: Network, nemesis: Nemesis) -> None:
    told = network["h1"].run([*at_boot_offset(1_000_000), sys.executable, "-c", TELL_CLOCKS], "\n")
    ahead = float(told.split()[1]) - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert ahead == pytest.approx(1_000_000, abs=300)


def _clocks(teller: subprocess.Popen[str]) -> list[float]:
    assert teller.stdin is not None
    assert teller.stdout is not None
    teller.stdin.write("\n")
    teller.stdin.flush()
    return [float(word) for word in teller.stdout.readline().split()]
