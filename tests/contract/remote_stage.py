"""A real agent's answering behind a real TLS socket on loopback, and certificates of all kinds to come with."""

# ruff: noqa: ARG002, ASYNC110 - a method of a port takes what the port says; what is awaited is a condition of the code under test

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast.agent import clock
from holdfast.agent.access import Access
from holdfast.agent.answering import Answering
from holdfast.agent.audit import AUDIT, Audit, Entry, read_entries
from holdfast.agent.changes import Changes
from holdfast.agent.log import Line
from holdfast.agent.protocol import Failure
from holdfast.agent.remote import RemoteControl
from holdfast.agent.remote_client import RemoteClient, Target
from holdfast.agent.status import AgentStatus
from holdfast.agent.tokens import TOKENS, Token, Tokens, digest_of, fresh_token, write_tokens
from holdfast.agent.turning import Turning
from holdfast.cli.certificates import issue_host, issue_person, make_authority, pair_of
from holdfast.journal.records import HealthPoint, IncidentRecord, TurnRecord
from holdfast.model.policy import ClusterPolicy, HostPolicy, Policy, SecretFrom, TlsPolicy
from holdfast.model.value import replace
from tests.unit.agent.rehearsal import RememberedTurns, policy, running

LOOPBACK = "127.0.0.1"


class EmptyHistory:
    """A past in which nothing happened."""

    def turns(self, newest: int) -> tuple[TurnRecord, ...]:
        return ()

    def incidents(self, limit: int) -> tuple[IncidentRecord, ...]:
        return ()

    def incident(self, id_: str) -> IncidentRecord | None:
        return None

    def health(self, service: str, hours: float) -> tuple[HealthPoint, ...]:
        return ()


class Pki:
    """The cluster's authority, hosts h1 and h2, one person of each access, and an authority of somebody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ours"
        self.strange = folder / "theirs"
        for place in (self.folder, self.strange):
            make_authority(place, "test authority")
            issue_host(place, "h1", [LOOPBACK], 2)
        issue_host(self.folder, "h2", ["127.0.0.2"], 2)
        issue_host(self.folder, "h9", ["127.0.0.9"], 2)
        for access in Access:
            issue_person(self.folder, f"{access}er", access, 2)
        issue_person(self.strange, "adminer", Access.ADMIN, 2)
        issue_person(self.folder, "expired", Access.ADMIN, -1)

    def tls(self, name: str, folder: Path | None = None) -> TlsPolicy:
        """Return a certificate of one authority, and trust in ours."""
        pair = pair_of(folder or self.folder, name)
        return TlsPolicy(str(self.folder / "ca.pem"), str(pair.cert), str(pair.key))


class Stage:
    """Remote control over a turning loop in which two members run."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder = folder
        self.pki = pki
        self.lines: list[Line] = []
        self.turning = Turning(running(policy(), at=clock.now()), RememberedTurns())
        self.changes = Changes()
        self.turning.follow(self.changes)
        answering = Answering(self.turning, self.changes, EmptyHistory(), self.agent, self.reload)
        self.audit = Audit(folder / AUDIT, self.lines.append)
        self.policy = with_cluster(policy(), pki.tls("h1"))
        self.remote = RemoteControl(
            answering,
            lambda: self.policy,
            "h1",
            audit=self.audit,
            tokens=Tokens(folder / TOKENS),
            say=self.lines.append,
        )

    def agent(self) -> AgentStatus:
        return AgentStatus(os.getpid(), "1", 0.0, "file", str(self.folder), "r1")

    async def reload(self, by: str) -> Failure | None:
        return None

    @property
    def port(self) -> int:
        assert self.remote.port is not None, self.remote.problem
        return self.remote.port

    def client(self, tls: TlsPolicy, *, token: Path | None = None, behalf: str | None = None) -> RemoteClient:
        token_file = None if token is None else str(token)
        return RemoteClient(Target("h1", LOOPBACK, self.port, tls, token_file, behalf))

    def as_(self, name: str) -> RemoteClient:
        return self.client(self.pki.tls(name))

    def give_token(self, name: str, access: Access) -> Path:
        """Give out a token, and return the file that its owner keeps it in."""
        token = fresh_token()
        write_tokens(self.folder / TOKENS, (Token(name, access, digest_of(token)),))
        file = self.folder / f"{name}.token"
        file.write_text(f"{token}\n", "ascii")
        file.chmod(0o600)
        return file

    async def connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a raw connection, to say on it what no client would."""
        tls = self.pki.tls(name)
        context = ssl.create_default_context(cafile=tls.ca)
        context.load_cert_chain(tls.cert, tls.key)
        return await asyncio.open_connection(LOOPBACK, self.port, ssl=context, server_hostname=LOOPBACK)

    def audited(self) -> list[Entry]:
        """Return what the audit log holds, once it is written out."""
        self.audit.close()
        return list(read_entries(self.folder / AUDIT))


def with_cluster(plain: Policy, tls: TlsPolicy | None, port: int = 0) -> Policy:
    cluster = ClusterPolicy("etcd://127.0.0.1:1", SecretFrom(env="SECRET"), port=port, tls=tls)
    hosts = {name: HostPolicy(name, address) for name, address in (("h1", LOOPBACK), ("h2", "127.0.0.2"))}
    return replace(plain, cluster=cluster, hosts=hosts)


Scene = Callable[[Stage], Awaitable[None]]


def play(folder: Path, pki: Pki, scene: Scene) -> Stage:
    """Open, have the scene played, close; return what is left."""

    async def whole() -> Stage:
        stage = Stage(folder, pki)
        await stage.remote.open()
        try:
            async with asyncio.timeout(60):
                await scene(stage)
        finally:
            await stage.remote.close()
            stage.audit.close()
        return stage

    return asyncio.run(whole())


async def until(holds: Callable[[], object]) -> None:
    """Await a condition; the test's own time limit bounds it."""
    while not holds():
        await asyncio.sleep(0.01)
