"""Identity: who a certificate of the cluster's authority says that its owner is.

A certificate has exactly one alternative name that begins with `holdfast:`

    URI:holdfast:access/operate   a person or a program; its common name is its name
    URI:holdfast:host/h1          an agent: reads, and forwards what an operator asked of it

A URI, not an organizational unit: an address has one place to stand and no escaping, and public authorities, which
anybody can get a certificate from, issue no such URIs. None, several or an unknown one mean no access of its own; such a
certificate opens the door for a token, no more.
"""

import re
from collections.abc import Mapping
from typing import Any

from holdfast.agent.access import Access
from holdfast.model.ids import HostName
from holdfast.model.value import Value

SCHEME = "holdfast:"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ACCESS = re.compile(rf"{SCHEME}access/({'|'.join(Access)})")
_HOST = re.compile(rf"{SCHEME}host/([A-Za-z0-9][A-Za-z0-9._-]{{0,62}})")


class Identity(Value, frozen=True):
    """What a certificate says."""

    name: str = ""  # of the person or host; empty: none that could be shown
    access: Access | None = None
    host: HostName | None = None


def identity_of(certificate: Mapping[str, Any]) -> Identity:
    """Return who it is, from a verified certificate as `ssl` gives it."""
    common = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    name = common[0] if len(common) == 1 and _NAME.fullmatch(common[0]) else ""
    ours = [
        value
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "URI" and value.startswith(SCHEME)
    ]
    if len(ours) != 1:
        return Identity(name)
    if host := _HOST.fullmatch(ours[0]):
        return Identity(host[1], host=host[1])
    if (access := _ACCESS.fullmatch(ours[0])) and name:
        return Identity(name, Access(access[1]))
    return Identity(name)
