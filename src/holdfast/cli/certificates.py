"""Certificates for hosts and people, made by the `openssl` program: an authority of the cluster's own.

OpenSSL is on every Debian host, and a library for this would be one more thing to keep up on each. It is given its own
configuration and explicit arguments, so nothing of the host's settings reaches in. Keys are EC P-256 and never leave the
folder; each file is made beside its place and moved there, so a run that fails leaves nothing half done.
"""

import ipaddress
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from holdfast.agent.access import Access
from holdfast.agent.identity import SCHEME
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.model.value import Value

AUTHORITY = "ca"
AUTHORITY_DAYS = 3650
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PERSON_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_WITHIN_S = 30.0
_CONFIGURATION = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\n"  # never the host's own openssl.cnf


class Pair(Value, frozen=True):
    """Where a certificate and its key are."""

    cert: Path
    key: Path


def pair_of(folder: Path, name: str) -> Pair:
    """Return where the certificate called `name` is or would be."""
    return Pair(folder / f"{name}.pem", folder / f"{name}.key")


def make_authority(folder: Path, name: str, days: int = AUTHORITY_DAYS) -> Pair:
    """Make the authority; Trouble if there is one, for all its certificates would be worth nothing."""
    authority = pair_of(folder, AUTHORITY)
    if authority.cert.exists() or authority.key.exists():
        hint = "holdfast certs issue makes certificates with it; --folder names another folder for another authority"
        raise Trouble(f"{folder}: there is an authority already", ExitCode.USAGE, hint=hint)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Trouble(f"{folder}: {error.strerror}") from error
    extensions = (
        "basicConstraints = critical,CA:TRUE,pathlen:0",
        "keyUsage = critical,keyCertSign,cRLSign",
        "subjectKeyIdentifier = hash",
    )
    with _Workshop(folder) as workshop:
        workshop.request(f"/O=holdfast/CN={name}")
        workshop.sign(extensions, days, ("-signkey", workshop.key))
        workshop.deliver(authority)
    return authority


def issue_host(folder: Path, host: str, addresses: Sequence[str], days: int) -> Pair:
    """Make the certificate of a host's agent: it answers at `addresses`, and asks other agents."""
    _check(host, HOST_NAME, "a host's name")
    names = (f"URI:{SCHEME}host/{host}", *dict.fromkeys(_alternative(one) for one in (host, *addresses)))
    return _issue(folder, host, names, "serverAuth,clientAuth", days)


def issue_person(folder: Path, name: str, access: Access, days: int) -> Pair:
    """Make the certificate of a person or program. It can ask, and cannot answer in an agent's place."""
    _check(name, PERSON_NAME, "a name")
    return _issue(folder, name, (f"URI:{SCHEME}access/{access}",), "clientAuth", days)


def _issue(folder: Path, name: str, names: Sequence[str], usage: str, days: int) -> Pair:
    authority = pair_of(folder, AUTHORITY)
    if name == AUTHORITY:
        raise Trouble(f"{name!r} is the authority's own name", ExitCode.USAGE)
    if not authority.key.is_file() or not authority.cert.is_file():
        hint = "holdfast certs init makes one; --folder names the folder of an older one"
        raise Trouble(f"{folder}: there is no authority", ExitCode.USAGE, hint=hint)
    extensions = (
        "basicConstraints = critical,CA:FALSE",
        "keyUsage = critical,digitalSignature",
        f"extendedKeyUsage = {usage}",
        f"subjectAltName = {','.join(names)}",
        "subjectKeyIdentifier = hash",
        "authorityKeyIdentifier = keyid",
    )
    made = pair_of(folder, name)
    with _Workshop(folder) as workshop:
        workshop.request(f"/O=holdfast/CN={name}")
        workshop.sign(extensions, days, ("-CA", str(authority.cert), "-CAkey", str(authority.key)))
        workshop.deliver(made)
    return made


def _check(name: str, pattern: re.Pattern[str], what: str) -> None:
    # It ends up in an argument and in a file of OpenSSL's, where a comma or a line end would say more than a name.
    if not pattern.fullmatch(name):
        raise Trouble(f"{name!r} must be {what}: letters, digits, '.', '_', '-'", ExitCode.USAGE)


def _alternative(address: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(address)}"
    except ValueError:
        _check(address, HOST_NAME, "a host name or an IP address")
        return f"DNS:{address}"


class _Workshop:
    """A folder beside the certificates, for the time that one is made."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("openssl")
        if self._program is None:
            hint = "apt-get install openssl, here or on another machine: certificates are plain files"
            raise Trouble("the program openssl is not here", ExitCode.FAILED, hint=hint)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
        except OSError as error:
            raise Trouble(f"{folder}: {error.strerror}") from error
        self.key, self._wish, self._cert = (str(self._folder / name) for name in ("key", "wish", "cert"))
        self._configuration = self._folder / "openssl.cnf"
        self._configuration.write_text(_CONFIGURATION, "ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def request(self, subject: str) -> None:
        """Make a key, and a request for its certificate."""
        curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self._openssl("genpkey", *curve, "-out", self.key)
        self._openssl("req", "-new", "-key", self.key, "-subj", subject, "-out", self._wish)

    def sign(self, extensions: Sequence[str], days: int, by: Sequence[str]) -> None:
        """Make the certificate."""
        wanted = self._folder / "extensions"
        wanted.write_text("\n".join(extensions) + "\n", "ascii")
        serial = f"0x{secrets.randbits(127) | 1 << 126:x}"
        self._openssl(
            *("x509", "-req", "-in", self._wish, "-out", self._cert, "-sha256", "-days", str(days)),
            *("-set_serial", serial, "-extfile", str(wanted), *by),
        )

    def deliver(self, pair: Pair) -> None:
        """Put key and certificate in their place: the key first, for its owner only."""
        Path(self.key).chmod(0o600)
        Path(self._cert).chmod(0o644)
        Path(self.key).replace(pair.key)
        Path(self._cert).replace(pair.cert)

    def _openssl(self, *arguments: str) -> None:
        assert self._program is not None
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "OPENSSL_CONF": str(self._configuration),
            "RANDFILE": str(self._folder / "rnd"),
        }
        command = [self._program, *arguments]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_WITHIN_S,
                check=False,
                umask=0o077,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Trouble(f"openssl {arguments[0]}: {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Trouble(f"openssl {arguments[0]} failed", hint="\n".join(said[-5:]))
