"""Reaching: what `--host` means. A host of the file, or an address; and what its agent is shown.

Certificates come from the command line, else from the environment, else they are this host's own of the file. With the
host's own the agent there is told who asks and lets them operate: who can read the key of a host could do so anyway.
"""

import getpass
import os
import re
from collections.abc import Mapping

import click

from holdfast.agent.remote_client import Target
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import Place, find_file, usual_file
from holdfast.model.policy import Policy, TlsPolicy

VARIABLES = {"ca": "HOLDFAST_TLS_CA", "cert": "HOLDFAST_TLS_CERT", "key": "HOLDFAST_TLS_KEY"}
TOKEN_VARIABLE = "HOLDFAST_TOKEN_FILE"  # noqa: S105 - the name of a variable, with the name of a file in it
PORT = 7420  # where agents listen unless the file says otherwise
_SPEC = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:\s]+))(?::(?P<port>\d{1,5}))?", re.ASCII)


def target_meant(chosen: Place) -> Target:
    """Return the agent that the command line means; Trouble if that cannot be told."""
    policy, unread = _policy_if_any(chosen)
    return target_of(chosen, policy, os.environ, user=getpass.getuser(), unread=unread)


def target_of(
    chosen: Place, policy: Policy | None, environment: Mapping[str, str], *, user: str, unread: str = ""
) -> Target:
    """Return the agent that is meant; `unread` says why there is no policy."""
    assert chosen.host is not None
    match = _SPEC.fullmatch(chosen.host)
    if match is None or not 0 < int(match["port"] or PORT) < 65536:
        hint = "a host of the file, or ADDRESS, or ADDRESS:PORT; an IPv6 address in brackets"
        raise Trouble(f"--host {chosen.host!r} is no host", ExitCode.USAGE, hint=hint)
    called = match["six"] or match["name"]
    host = policy.hosts.get(called) if policy else None
    cluster = policy.cluster if policy else None
    own = cluster.tls if cluster else None
    tls = _tls(chosen, environment, own, unread)
    return Target(
        name=called,
        address=host.address if host else called,
        port=int(match["port"] or (cluster.port if cluster else PORT)),
        tls=tls,
        token_file=environment.get(TOKEN_VARIABLE) or None,
        behalf=_behalf(user) if own is not None and tls.key == own.key else None,
    )


def _tls(chosen: Place, environment: Mapping[str, str], own: TlsPolicy | None, unread: str) -> TlsPolicy:
    given = {what: chosen.tls.get(what) or environment.get(name) for what, name in VARIABLES.items()}
    ca, cert, key = given["ca"] or (own.ca if own else None), given["cert"], given["key"]
    if bool(cert) != bool(key):
        raise Trouble("--tls-cert and --tls-key go together", ExitCode.USAGE)
    if own is not None and not cert:
        cert, key = own.cert, own.key
    if ca and cert and key:
        return TlsPolicy(ca, cert, key)
    hint = (
        f"--tls-ca, --tls-cert and --tls-key, or {', '.join(VARIABLES.values())}, or cluster.tls in the file;\n"
        "holdfast certs makes certificates"
    )
    because = f" ({unread})" if unread else ""
    raise Trouble(f"--host needs certificates, and there are none{because}", ExitCode.USAGE, hint=hint)


def _policy_if_any(chosen: Place) -> tuple[Policy | None, str]:
    try:
        if chosen.file is None and usual_file() is None:
            return None, "no holdfast.yaml is here"
        return load_policy(find_file()), ""
    except click.ClickException as error:
        # An agent stays reachable while the file is being edited, by its address and with certificates of one's own.
        return None, error.message.splitlines()[0]


def _behalf(user: str) -> str:
    """Return the user's name as far as it can be told to an agent."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", user)[:64].lstrip("._-") or "unknown"
