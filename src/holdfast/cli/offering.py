"""What is about to be shared with all hosts: a file, or an earlier one, beside the one that is in force."""

import sys
from pathlib import Path

import click

from holdfast import config
from holdfast.agent.client import ControlClient
from holdfast.agent.cluster_status import ClusterStatus
from holdfast.agent.protocol import ClusterRequest, PoliciesRequest, PolicyRequest
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.config.planning import Plan
from holdfast.coordination.recipes.shared_policy import PolicyRevision
from holdfast.model.policy import Policy
from holdfast.model.value import Value

RELOAD = "`holdfast reload` has the agent read its file again"


class Shared(Value, frozen=True):
    """What the hosts have now."""

    history: tuple[PolicyRevision, ...]  # the newest first; empty: each host has its own file
    policy: Policy  # what the asked host runs

    @property
    def number(self) -> int:
        """Return the number of the newest, which a new one is applied against; 0: there is none."""
        return self.history[0].number if self.history else 0

    @property
    def name(self) -> str:
        """Return what people may call it."""
        if not self.history:
            return "the file that each host has for itself, as the asked host runs it"
        newest = self.history[0]
        return f"policy {newest.number} by {newest.by}, revision {newest.revision}"

    def revision(self, number: int) -> PolicyRevision:
        """Return what was applied under `number`; 0: the newest that differs from what is in force."""
        for one in self.history:
            if number in (one.number, 0) and (number or one.text != self.history[0].text):
                return one
        known = ", ".join(str(one.number) for one in self.history) or "none"
        what = f"no policy {number}" if number else "no earlier policy that differs"
        raise Trouble(f"there is {what} to go back to", ExitCode.USAGE, hint=f"those that are kept: {known}")


def shared_now(agent: ControlClient) -> Shared:
    """Return what the hosts share; Trouble if there is one host only."""
    cluster: ClusterStatus | None = agent.ask(ClusterRequest(), ClusterStatus | None)  # type: ignore[arg-type]  # a union is no type
    if cluster is None:
        raise Trouble("there is one host only, and nobody to share a file with", ExitCode.USAGE, hint=RELOAD)
    history = agent.ask(PoliciesRequest(), tuple[PolicyRevision, ...])
    return Shared(history, agent.ask(PolicyRequest(), Policy))


def differences(shared: Shared, text: str, folder: Path) -> Plan | str:
    """Return what sharing `text` would change; why that cannot be told here, if so."""
    try:
        new = config.load_text(text, "what is to be shared", folder)
        old = (
            config.load_text(shared.history[0].text, shared.name, folder) if shared.history else shared.policy
        )
    except config.ConfigError as error:
        return f"what it would change cannot be told on this machine: {error}"
    return config.plan(old, new)


def confirm(question: str) -> None:
    """Ask on a terminal; Trouble where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Trouble(
            "this needs --yes when stdin is not a terminal", ExitCode.USAGE, hint="--dry-run shows first"
        )
    click.confirm(question, abort=True)
