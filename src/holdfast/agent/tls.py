"""TLS between hosts: both sides show a certificate of the cluster's own authority, and nothing else counts.

TLS 1.3 only. Both ends are this program, and every OpenSSL that Python 3.11 builds with speaks it (1.1.1), so there is no
old client to be kind to; and it has no renegotiation, no compression and no weak suites that would have to be turned off. No
session is resumed: each connection shows its certificate anew. The system's authorities are never asked.
"""

import os
import ssl
import stat
from contextvars import ContextVar
from pathlib import Path
from typing import Self, TypeAlias, TypeVar

from holdfast.model.policy import TlsPolicy

C = TypeVar("C", bound=ssl.SSLContext)
Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


class TlsError(Exception):
    """The certificates cannot be used; the text says which, and why."""


class Alert:
    """What tells the other side why its handshake failed, kept because asyncio throws it away.

    Without it a caller whose certificate has expired sees a connection that just ends.
    """

    def __init__(self) -> None:
        self.record = b""

    @classmethod
    def of_next_connection(cls) -> Self:
        """Return where the next connection that this task wraps leaves its alert."""
        alert = cls()
        _alert.set(alert)
        return alert


_alert: ContextVar[Alert] = ContextVar("alert")


class _AlertingObject(ssl.SSLObject):
    """One connection of an agent that answers."""

    alert: Alert | None = None
    outgoing: ssl.MemoryBIO | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.alert is not None and self.outgoing is not None:
                self.alert.record = self.outgoing.read()
            raise


class AnsweringContext(ssl.SSLContext):
    """What an agent answers with."""

    sslobject_class = _AlertingObject

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the base class's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin one connection, in the context of the task that took it."""
        wrapped = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(wrapped, _AlertingObject)
        wrapped.alert, wrapped.outgoing = _alert.get(None), outgoing
        return wrapped


def server_context(tls: TlsPolicy) -> AnsweringContext:
    """Return what the agent answers with; TlsError if the files are no good. Reads the disk."""
    context = _prepared(AnsweringContext(ssl.PROTOCOL_TLS_SERVER), tls)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    return context


def client_context(tls: TlsPolicy) -> ssl.SSLContext:
    """Return what an agent is asked with: its certificate must name the address that is dialled."""
    context = _prepared(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    return context


def stamp_of(tls: TlsPolicy) -> Stamp | None:
    """Return what changes whenever one of the files does; None while one cannot be looked at."""
    try:
        seen = [Path(file).stat() for file in (tls.ca, tls.cert, tls.key)]
    except OSError:
        return None
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in seen)


def _prepared(context: C, tls: TlsPolicy) -> C:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    _refuse_shared_key(tls.key)
    try:
        context.load_verify_locations(cafile=tls.ca)
    except (OSError, ValueError) as error:
        raise TlsError(f"authority {tls.ca}: {_reason(error)}") from error
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise TlsError(f"certificate {tls.cert} with key {tls.key}: {_reason(error)}") from error
    return context


def _refuse_shared_key(key: str) -> None:
    try:
        mode = os.stat(key).st_mode  # noqa: PTH116 - the error's text names the path as it was given
    except OSError as error:
        raise TlsError(f"key {key}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise TlsError(f"key {key}: not a file")
    # A group may read it, as Debian's ssl-cert does; the world may not, and nobody else may write it.
    if mode & 0o027:
        raise TlsError(f"key {key}: others than its owner can use it; chmod 600 {key}")


def _no_passphrase() -> str:
    # Without this OpenSSL would ask on the terminal and wait.
    return ""


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
