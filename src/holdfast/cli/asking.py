"""Asking the agent: its client's errors become the operator's, with the exit code that fits and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.agent.client import ControlClient, ControlError
from holdfast.agent.protocol import ErrorKind
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.place import find_directory, place

_CODES = {
    ErrorKind.USAGE: ExitCode.USAGE,
    ErrorKind.CONFIGURATION: ExitCode.USAGE,
    ErrorKind.REFUSED: ExitCode.REFUSED,
    ErrorKind.DENIED: ExitCode.REFUSED,
    ErrorKind.TIMEOUT: ExitCode.TIMED_OUT,
    ErrorKind.COORDINATOR: ExitCode.COORDINATOR,
}
HOW_TO_START = "start it with `holdfast run`, or name the right one with --file or --directory"
HOW_TO_REACH = "does its file have cluster.tls, and does a firewall let you through? `holdfast status` on that host tells more"


class UnreachableError(Trouble):
    """No agent of this host answers: its journal may."""


@contextmanager
def asking() -> Iterator[ControlClient]:
    """Open a connection to the agent that the command line means; whatever goes wrong becomes a Trouble."""
    with _client() as client:
        try:
            yield client
        except ControlError as error:
            raise trouble_of(error) from error


def _client() -> ControlClient:
    chosen = place()
    if chosen.host is None:
        return ControlClient(find_directory())
    from holdfast.agent.remote_client import RemoteClient
    from holdfast.cli.reaching import target_meant

    return RemoteClient(target_meant(chosen))


def trouble_of(error: ControlError) -> Trouble:
    """Return what the agent's error is for the operator."""
    if error.kind is ErrorKind.UNREACHABLE and place().host is not None:
        # What this host's journal knows is no answer about another host.
        return Trouble(error.message, hint=HOW_TO_REACH)
    if error.kind is ErrorKind.UNREACHABLE:
        return UnreachableError(error.message, hint=HOW_TO_START)
    code = _CODES.get(error.kind, ExitCode.FAILED)
    return Trouble(error.message, code, hint="\n".join(error.reasons))
