"""The client for the agent of another host: the same calls as `client`, over mutual TLS.

    with RemoteClient(Target("h2", "10.0.0.2", 7420, tls)) as agent:
        print(agent.greeting.access, agent.status().health)

The agent's certificate must name the address that is dialled, so nobody with another host's or a person's certificate
can answer in its place.
"""

import os
import socket
import ssl
from pathlib import Path
from typing import NoReturn

from holdfast.agent.client import ControlClient, ControlError, result_of
from holdfast.agent.protocol import ErrorKind, Greeting, HelloRequest
from holdfast.agent.tls import TlsError, client_context
from holdfast.model.policy import TlsPolicy
from holdfast.model.value import Value

_CONNECT_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 10.0
_TOKEN_MAX = 4096


class Target(Value, frozen=True):
    """Which agent is meant, and what it is shown."""

    name: str  # as the operator called it, for messages
    address: str
    port: int
    tls: TlsPolicy
    token_file: str | None = None
    behalf: str | None = None  # with a host's own certificate: who asks


class RemoteClient(ControlClient):
    """One connection to an agent on another host; made when the first request is."""

    def __init__(self, target: Target, *, within_s: float = _ANSWER_WITHIN_S) -> None:
        super().__init__(Path(), within_s=within_s)
        self._target = target
        self.greeting: Greeting | None = None  # who we are to it, once connected

    def _dial(self) -> None:
        target = self._target
        try:
            context = client_context(target.tls)
        except TlsError as error:
            raise ControlError(ErrorKind.USAGE, str(error)) from error
        hello = HelloRequest(token=_token_in(target.token_file), behalf=target.behalf)
        try:
            plain = socket.create_connection((target.address, target.port), _CONNECT_WITHIN_S)
        except (OSError, UnicodeError) as error:
            self._unreachable(error)
        try:
            # The wrapped socket owns the plain one's descriptor from here on, also when the handshake fails.
            self._socket = context.wrap_socket(plain, server_hostname=target.address)
        except OSError as error:
            plain.close()
            self._lost(error)
            self._unreachable(error)
        self._send(hello)
        line = self._read_line(self._within_s)
        if line is None:
            self.close()
            message = f"the agent on {target.name} hung up: too many may be connected, or it is ending"
            raise ControlError(ErrorKind.UNREACHABLE, message)
        try:
            self.greeting = result_of(line, Greeting)
        except ControlError:
            self.close()
            raise

    def _lost(self, error: OSError) -> None:
        # In TLS 1.3 the client is through before the agent has looked at its certificate: the refusal comes when we read.
        name = self._target.name
        if isinstance(error, ssl.SSLCertVerificationError):
            self.close()
            message = f"who answers as {name} is not its agent: {error.verify_message}"
            raise ControlError(ErrorKind.DENIED, message) from error
        reason = (error.reason or "").lower() if isinstance(error, ssl.SSLError) else ""
        if "alert" in reason:
            self.close()
            told = reason.partition("alert_")[2].replace("_", " ") or reason
            message = f"the agent on {name} does not accept our certificate {self._target.tls.cert}: {told}"
            raise ControlError(ErrorKind.DENIED, message) from error
        if "wrong_version_number" in reason:
            self.close()
            message = f"what answers at {self._target.address}:{self._target.port} does not speak TLS"
            raise ControlError(ErrorKind.UNREACHABLE, message) from error

    def _unreachable(self, error: Exception) -> NoReturn:
        target = self._target
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no answer"
        message = f"no agent of {target.name} answers at {target.address}:{target.port}: {reason.lower()}"
        raise ControlError(ErrorKind.UNREACHABLE, message) from error


def _token_in(file: str | None) -> str:
    if file is None:
        return ""
    try:
        with open(file, encoding="ascii") as opened:  # noqa: PTH123 - its mode is asked of what was opened
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read(_TOKEN_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "holds no token"
        raise ControlError(ErrorKind.USAGE, f"token file {file}: {reason}") from error
    if mode & 0o077:
        message = f"token file {file}: others than its owner can use it; chmod 600 {file}"
        raise ControlError(ErrorKind.USAGE, message)
    if not token:
        raise ControlError(ErrorKind.USAGE, f"token file {file}: holds no token")
    return token
