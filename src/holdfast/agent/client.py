"""The other end of the control socket, for the command line and for programs: plain blocking calls.

    with ControlClient(directory) as agent:
        print(agent.status().health)
        agent.do(SwitchoverRequest(service="db", to="db-2", wait_s=30))

Every way in which it can go wrong is a ControlError, and its kind says whose fault that is.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from holdfast.agent import protocol
from holdfast.agent.directory import SOCKET
from holdfast.agent.protocol import Accepted, Answer, ErrorKind
from holdfast.agent.status import AgentStatus, SystemStatus
from holdfast.journal.records import HealthPoint, IncidentRecord

T = TypeVar("T")
_ANSWER_WITHIN_S = 10.0
_GRACE_S = 5.0  # the agent's own bound on a wait passes first, and tells more


class ControlError(Exception):
    """A request was not fulfilled."""

    def __init__(self, kind: ErrorKind, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.reasons = reasons

    def __str__(self) -> str:
        return "\n".join((self.message, *(f"  {reason}" for reason in self.reasons)))


class ControlClient:
    """One connection to the agent that runs on `directory`; made when the first request is."""

    def __init__(self, directory: Path, *, within_s: float = _ANSWER_WITHIN_S) -> None:
        self._directory = directory
        self._within_s = within_s
        self._socket: socket.socket | None = None
        self._buffer = b""

    def ping(self) -> AgentStatus:
        """Return who answers."""
        return self.ask(protocol.PingRequest(), AgentStatus)

    def status(self) -> SystemStatus:
        """Return how things are."""
        return self.ask(protocol.StatusRequest(), SystemStatus)

    def state(self) -> protocol.StateAnswer:
        """Return all that the agent knows."""
        return self.ask(protocol.StateRequest(), protocol.StateAnswer)

    def explain_data(self, turns: int = 500) -> protocol.ExplainAnswer:
        """Return all that the agent knows, and the newest turns."""
        return self.ask(protocol.ExplainDataRequest(turns=turns), protocol.ExplainAnswer)

    def incidents(self, limit: int = 50) -> tuple[IncidentRecord, ...]:
        """Return the newest incidents, newest first."""
        return self.ask(protocol.IncidentsRequest(limit=limit), tuple[IncidentRecord, ...])

    def incident(self, id_: str) -> IncidentRecord:
        """Return one incident."""
        return self.ask(protocol.IncidentRequest(id=id_), IncidentRecord)

    def health(self, service: str = "", hours: float = 24.0) -> tuple[HealthPoint, ...]:
        """Return how health went, oldest first."""
        return self.ask(protocol.HealthRequest(service=service, hours=hours), tuple[HealthPoint, ...])

    def do(self, request: protocol.CommandRequest | protocol.ReloadRequest) -> Accepted:
        """Have something done."""
        return self.ask(request, Accepted)

    def watch(self, *, within_s: float | None = None) -> Iterator[SystemStatus]:
        """Return how things are, now and after each change, until the agent leaves (or nothing came for `within_s`)."""
        self._send(protocol.WatchRequest())
        while (line := self._read_line(within_s)) is not None:
            yield result_of(line, SystemStatus)

    def ask(self, request: protocol.Request, kind: type[T]) -> T:
        """Send one request and return its result."""
        waits = request.wait_s if isinstance(request, protocol.CommandRequest) else 0.0
        is_slow = isinstance(request, protocol.ReloadRequest)
        self._send(request)
        line = self._read_line(self._within_s + waits + (_GRACE_S if waits else 0) + (60 if is_slow else 0))
        if line is None:
            self.close()
            raise ControlError(ErrorKind.UNREACHABLE, "the agent ended before it answered")
        return result_of(line, kind)

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _dial(self) -> None:
        """Make the connection; ControlError if that cannot be done."""
        self._socket = _connect(self._directory, self._within_s)

    def _lost(self, error: OSError) -> None:
        """Tell why the connection broke, if there is more to tell than that it did."""

    def _send(self, request: protocol.Request) -> None:
        if self._socket is None:
            self._dial()
        assert self._socket is not None
        try:
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
        except OSError:
            # It may have refused us before it read: then its reason waits to be read.
            return

    def _read_line(self, within_s: float | None) -> bytes | None:
        assert self._socket is not None
        self._socket.settimeout(within_s)
        pieces = [self._buffer]
        try:
            while b"\n" not in pieces[-1]:
                piece = self._socket.recv(1 << 16)
                if not piece:
                    return None
                pieces.append(piece)
        except TimeoutError:
            self.close()
            message = f"the agent did not answer within {within_s:g}s"
            hint = "it hangs, or has too much to do: its log tells; what was asked for may be done yet when it goes on"
            raise ControlError(ErrorKind.TIMEOUT, message, (hint,)) from None
        except OSError as error:
            self._lost(error)
            return None
        line, _, self._buffer = b"".join(pieces).partition(b"\n")
        return line


def result_of(line: bytes, kind: type[T]) -> T:
    """Return what an answer brought; ControlError if it says no, or cannot be read."""
    try:
        answer = msgspec.json.decode(line, type=Answer)
        if answer.ok:
            result: T = msgspec.json.decode(answer.result, type=kind)
            return result
    except msgspec.DecodeError as error:
        message = f"the agent's answer cannot be read ({error}); is it of another version?"
        raise ControlError(ErrorKind.FAILED, message) from error
    assert answer.error is not None
    raise ControlError(answer.error.kind, answer.error.message, answer.error.reasons)


def _connect(directory: Path, within_s: float) -> socket.socket:
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreachable(directory, error) from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(within_s)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{SOCKET}")
    except OSError as error:
        connection.close()
        raise _unreachable(directory, error) from error
    finally:
        os.close(folder)
    return connection


def _unreachable(directory: Path, error: OSError) -> ControlError:
    if isinstance(error, PermissionError):
        message = (
            f"you may not talk to the agent in {directory}: become its user or root, or join control.group"
        )
        return ControlError(ErrorKind.DENIED, message)
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return ControlError(ErrorKind.UNREACHABLE, f"no agent runs on {directory}")
    return ControlError(ErrorKind.UNREACHABLE, f"the agent in {directory} cannot be reached: {error}")
