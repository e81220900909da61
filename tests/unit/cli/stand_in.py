"""A stand-in for the agent on a real socket: it speaks the real protocol over a state that does not move.

Requests are decoded with the protocol's own types and judged by the core's own rules, so a command line that
speaks wrongly is told so here as well.
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from holdfast.agent import protocol
from holdfast.agent.answering import command_of, describe
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.directory import SOCKET
from holdfast.agent.protocol import Accepted, Answer, ErrorKind, Failure
from holdfast.agent.status import AgentStatus, status_of
from holdfast.config import load_text
from holdfast.coordination.recipes.shared_policy import PolicyRevision
from holdfast.journal.records import IncidentRecord, TurnRecord
from holdfast.loop.commands import refusals
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.value import replace
from holdfast.ports.journal import Turn
from tests.unit.cli import worlds


class StandIn:
    """What it knows, and what it was asked."""

    def __init__(self, state: State, turns: tuple[Turn, ...] = ()) -> None:
        self.state = state
        self.turns = tuple(TurnRecord(turn, turn.at + worlds.OFFSET, "b00t") for turn in turns)
        self.asked: list[protocol.AnyRequest] = []
        self.failure: Failure | None = None  # what the next command ends with
        self.agent = AgentStatus(4242, "0.1.0", 60.0, "holdfast.yaml", "/state", state.policy.revision)
        self.cluster: ClusterStatus | None = None
        self.history: list[PolicyRevision] = []  # what was shared, the newest first
        self.whole: Policy | None = None  # of several hosts: the file as it is, not one host's part of it
        self.takes_over = True  # the hosts run at once what is shared

    def answer(self, request: protocol.AnyRequest) -> object:  # noqa: C901 - one line a verb
        status = status_of(self.state, self.agent, worlds.NOW, self.cluster)
        match request:
            case protocol.StatusRequest() | protocol.WatchRequest():
                return status
            case protocol.StateRequest():
                return protocol.StateAnswer(self.state, worlds.NOW, worlds.OFFSET, self.agent, self.cluster)
            case protocol.ExplainDataRequest():
                return protocol.ExplainAnswer(
                    self.state, worlds.NOW, worlds.OFFSET, self.agent, self.turns, self.cluster
                )
            case protocol.ClusterRequest():
                return self.cluster
            case protocol.PolicyRequest():
                return self.whole or self.state.policy
            case protocol.PoliciesRequest():
                return self.history
            case protocol.ApplyRequest():
                return self._apply(request)
            case protocol.IncidentsRequest():
                return [
                    IncidentRecord(incident, incident.opened_at + worlds.OFFSET, None)
                    for incident in self.state.incidents.values()
                ]
            case (
                protocol.SwitchoverRequest()
                | protocol.DrainRequest()
                | protocol.PauseRequest()
                | protocol.ResumeRequest()
                | protocol.RestartRequest()
                | protocol.DownRequest()
            ):
                return self._command(request)
            case protocol.ReloadRequest():
                return self.failure or Accepted("reload", "ann", done=True, outcome="revision 4f1c")
            case _:
                return Failure(ErrorKind.USAGE, "the stand-in does not know this")

    def _apply(self, request: protocol.ApplyRequest) -> protocol.AppliedPolicy | Failure:
        assert self.cluster is not None
        if self.failure is not None:
            return self.failure
        revision = load_text(request.text).revision
        if request.dry_run:
            return protocol.AppliedPolicy(0, revision, "ann")
        number = self.history[0].number if self.history else 0
        if request.expect != number:
            return Failure(ErrorKind.REFUSED, f"somebody was quicker: policy {number} is in force")
        self.history.insert(0, PolicyRevision(number + 1, revision, request.text, "ann", "mac"))
        if self.takes_over:
            hosts = tuple(replace(host, revision=revision) for host in self.cluster.hosts)
            self.cluster = replace(self.cluster, hosts=hosts)
        return protocol.AppliedPolicy(number + 1, revision, "ann")

    def _command(self, request: protocol.AnyCommandRequest) -> Accepted | Failure:
        command = command_of(request, "ann")
        reasons = refusals(self.state, command, worlds.NOW)
        if reasons:
            return Failure(ErrorKind.REFUSED, f"{describe(command)} is refused", reasons)
        if self.failure is not None:
            return self.failure
        begins = ("demote web/web-1: switchover",)
        if request.dry_run:
            return Accepted(describe(command), "ann", begins, dry_run=True)
        if not request.wait_s:
            return Accepted(describe(command), "ann", begins)
        return Accepted(describe(command), "ann", begins, done=True, outcome="web-2 serves", took_s=1.4)


@contextmanager
def running(stand_in: StandIn, directory: Path) -> Iterator[StandIn]:
    """Serve on the directory's control socket until the block ends."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                request = msgspec.json.decode(line, type=protocol.AnyRequest)
                stand_in.asked.append(request)
                told = stand_in.answer(request)
                answer = (
                    Answer(ok=False, error=told)
                    if isinstance(told, Failure)
                    else Answer(ok=True, result=msgspec.Raw(msgspec.json.encode(told)))
                )
                self.wfile.write(msgspec.json.encode(answer) + b"\n")
                if isinstance(request, protocol.WatchRequest):
                    return

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    directory.mkdir(parents=True, exist_ok=True)
    with Server(str(directory / SOCKET), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield stand_in
        finally:
            server.shutdown()
            thread.join()
