"""Certificates for one test: an authority of its own, a server's, and a client's."""

import subprocess
from pathlib import Path


class Certificates:
    """Files below `folder`: ca.pem, server.pem, server.key, client.pem, client.key, and server-both.pem."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._openssl(
            "req",
            "-x509",
            *_NEW,
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/O=holdfast test authority",
            "-days",
            "2",
        )
        # etcd's gateway uses the server's certificate as a client's too. Neither has a common name: etcd's gateway
        # refuses clients that have one.
        self._signed("server", f"subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth,clientAuth")
        self._signed("client", "extendedKeyUsage=clientAuth")
        both = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
        (folder / "server-both.pem").write_text(both)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def query(self) -> str:
        """Return the options of an address that use the client's certificate."""
        return f"ca={self.path('ca.pem')}&cert={self.path('client.pem')}&key={self.path('client.key')}"

    def _signed(self, name: str, extensions: str) -> None:
        (self.folder / f"{name}.ext").write_text(extensions)
        self._openssl("req", *_NEW, f"{name}.key", "-out", f"{name}.csr", "-subj", f"/O=holdfast test {name}")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", f"{name}.pem", "-extfile", f"{name}.ext", "-days", "2"),
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
