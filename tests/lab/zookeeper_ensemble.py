"""A real ZooKeeper ensemble, from the jar of Debian's package and the JRE that it brings."""

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.lab.ensembles import Ensemble, Member, free_addresses

CLIENT_PORT = 2181
QUORUM_PORT = 2888
ELECTION_PORT = 3888
TICK_MS = 250  # sessions from 0.5 s to 5 s
# What the servers' share of two cores allows: small heaps, the quick compiler, and no waiting for the disk, since
# a killed process loses nothing that the kernel has.
JAVA = (
    "java",
    "-Xms24m",
    "-Xmx96m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "-Dzookeeper.forceSync=no",
    "-Dzookeeper.admin.enableServer=false",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
# The jar names its libraries itself, but for a logger and what TLS needs of netty.
JARS = ("zookeeper", "slf4j-simple", "netty-codec", "netty-resolver")
CLASSPATH = ":".join(f"/usr/share/java/{name}.jar" for name in JARS)


class ZooKeeperEnsemble(Ensemble):
    """One or several ZooKeeper servers."""

    scheme = "zookeeper"

    def __init__(
        self, folder: Path, members: int, settings: Sequence[str] = (), *, addresses: Sequence[str] = ()
    ) -> None:
        at = list(addresses) or zookeeper_addresses(members)
        super().__init__(
            [_member(folder / f"m{number}", number, at, settings) for number in range(1, members + 1)]
        )

    def port(self) -> int:
        return CLIENT_PORT

    def leads(self, member: Member) -> bool:
        return _mode(member) in {"leader", "standalone"}

    def hand_over(self, leader: Member, to: Member) -> None:  # noqa: ARG002 - it cannot be told whom to follow
        # Of servers that know the same, the one with the highest number is elected: in the end each can come to lead but the first.
        leader.kill()
        self.leader()
        leader.start()
        self.await_service()

    def serves(self, member: Member) -> bool:
        return bool(_mode(member))


def zookeeper_addresses(members: int) -> list[str]:
    """Return addresses for so many members."""
    return free_addresses(members, (CLIENT_PORT, QUORUM_PORT, ELECTION_PORT))


def _member(folder: Path, number: int, addresses: Sequence[str], settings: Sequence[str]) -> Member:
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "myid").write_text(f"{number}\n", encoding="ascii")
    lines = [
        f"tickTime={TICK_MS}",
        "initLimit=20",
        "syncLimit=8",  # a frozen leader is left after 2 s
        f"dataDir={data}",
        f"clientPortAddress={addresses[number - 1]}",
        f"clientPort={CLIENT_PORT}",
        "maxClientCnxns=0",
        "4lw.commands.whitelist=srvr",
        *settings,
    ]
    if len(addresses) > 1:
        lines += [f"server.{n}={at}:{QUORUM_PORT}:{ELECTION_PORT}" for n, at in enumerate(addresses, 1)]
    configuration = folder / "zoo.cfg"
    configuration.write_text("\n".join(lines) + "\n", encoding="ascii")
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    return Member(addresses[number - 1], (*JAVA, "-cp", CLASSPATH, main, str(configuration)), folder)


def _mode(member: Member) -> str:
    """Return what the member says it is; empty while it does not serve."""
    answer = b""
    with suppress(OSError), socket.create_connection((member.address, CLIENT_PORT), timeout=1) as asking:
        asking.sendall(b"srvr")
        while chunk := asking.recv(4096):
            answer += chunk
    said = re.search(rb"Mode: (\w+)", answer)
    return said[1].decode() if said else ""
