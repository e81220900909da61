"""Ensembles that ask who is there, and speak TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest

from holdfast.coordination.address import connect
from holdfast.model.time import SECOND
from holdfast.ports.coordination import Snapshot, UnavailableError, UnknownError
from tests.lab.certificates import Certificates
from tests.lab.etcd_ensemble import EtcdEnsemble, ask, etcd_addresses
from tests.lab.shared import shared
from tests.lab.zookeeper_ensemble import ZooKeeperEnsemble, zookeeper_addresses

pytestmark = pytest.mark.e2e
SECURE_PORT = 2281


async def _uses_everything(url: str) -> None:
    coordinator = connect(url)
    session = await coordinator.open_session(2 * SECOND)
    written = await coordinator.put("/shop/k", b"v", session=session)
    await session.renew()
    assert await coordinator.get("/shop/k") == written
    async for sighting in coordinator.watch("/shop"):
        assert sighting == Snapshot({"/shop/k": written})
        break
    await session.close()
    await coordinator.close()


async def _is_refused(url: str) -> None:
    coordinator = connect(url)
    try:
        # With TLS 1.3 a server refuses a client without a certificate after the client has begun to speak.
        with pytest.raises((UnavailableError, UnknownError)):
            await coordinator.put("/shop/k", b"mine now")
    finally:
        await coordinator.close()


def test_etcd_with_tls_and_accounts(tmp_path: Path) -> None:
    addresses = etcd_addresses(1)
    certificates = Certificates(tmp_path / "certificates", addresses[0])
    tls = ssl.create_default_context(cafile=certificates.path("ca.pem"))
    tls.load_cert_chain(certificates.path("client.pem"), certificates.path("client.key"))
    settings = (
        f"--cert-file={certificates.path('server.pem')}",
        f"--key-file={certificates.path('server.key')}",
        f"--trusted-ca-file={certificates.path('ca.pem')}",
        "--client-cert-auth",
    )
    with EtcdEnsemble(tmp_path / "etcd", 1, settings, addresses=addresses, tls=tls) as etcd:
        (member,) = etcd.members
        for path, body in (
            ("user/add", {"name": "root", "password": "s3cret"}),
            ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("enable", {}),
        ):
            assert ask(member, f"/v3/auth/{path}", body, tls), path
        query = certificates.query()
        asyncio.run(_uses_everything(etcd.url(query=f"{query}&user=root&password=s3cret")))
        asyncio.run(_is_refused(etcd.url(query=f"{query}&user=root&password=guessed")))
        asyncio.run(_is_refused(etcd.url(query=query)))  # nobody in particular
        asyncio.run(_is_refused(etcd.url(query=f"ca={certificates.path('ca.pem')}")))  # without a certificate


def test_zookeeper_with_tls(tmp_path: Path) -> None:
    addresses = zookeeper_addresses(1)
    certificates = Certificates(tmp_path / "certificates", addresses[0])
    settings = (
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        f"secureClientPortAddress={addresses[0]}",
        f"secureClientPort={SECURE_PORT}",
        f"ssl.keyStore.location={certificates.path('server-both.pem')}",
        f"ssl.trustStore.location={certificates.path('ca.pem')}",
        "ssl.clientAuth=need",
    )
    with ZooKeeperEnsemble(tmp_path / "zookeeper", 1, settings, addresses=addresses):
        url = f"zookeeper://{addresses[0]}:{SECURE_PORT}/shop"
        asyncio.run(_uses_everything(f"{url}?{certificates.query()}"))
        asyncio.run(_is_refused(f"{url}?ca={certificates.path('ca.pem')}"))


def test_zookeeper_keeps_what_a_user_wrote_for_that_user(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n", encoding="utf-8")
    ensemble = shared("zookeeper", 3)
    asyncio.run(_uses_everything(ensemble.url(prefix="/private", query=f"user=shop&password_file={secret}")))
    asyncio.run(_is_refused(ensemble.url(prefix="/private", query="user=shop&password=guessed")))
    asyncio.run(_is_refused(ensemble.url(prefix="/private")))
