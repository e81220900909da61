"""What a fence agent is told: one `name=value` a line on its standard input, and never on its command line.

A command line is there for every user of the host to read. Secrets are read here, at the moment of use, and live in
what is returned only; an error names their place, never their value.
"""

import os
from typing import NamedTuple

from holdfast.config.secrets import SecretError, read_secret
from holdfast.fencing.hiding import is_secret, spellings
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy, SecretFrom

ACTION = "action"
HOST_OPTION = "nodename"  # whom it is about, in fence agents' words; those that do not care pass over it


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """The agent cannot be told this; the text says what is wrong and what to do."""


class Instructions(NamedTuple):
    """The options of one fence agent, their secrets read."""

    lines: bytes
    hidden: tuple[bytes, ...]  # what must not be shown of an output

    def to(self, action: str) -> bytes:
        """Return what the agent is told, to do `action`."""
        # Last, because the last word about an option is the one that counts.
        return self.lines + f"{ACTION}={action}\n".encode()


def instruct(policy: FencePolicy, host: HostName = "") -> Instructions:
    """Return what the policy's agent is told about `host`; Refused if that cannot be said or a secret cannot be read."""
    options = {HOST_OPTION: host} if host else {}
    secrets = []
    for name, value in policy.options.items():
        is_reference = isinstance(value, SecretFrom)
        text = _read_secret(name, value) if isinstance(value, SecretFrom) else value
        if is_reference or is_secret(name):
            secrets.append(text)
        options[name] = text
    lines = "".join(f"{name}={_one_line(name, text)}\n" for name, text in options.items())
    return Instructions(os.fsencode(lines), spellings(secrets))


def _one_line(name: str, text: str) -> str:
    # A line end inside a value would be an option of its own: `action=on`, say.
    if any(char in text for char in "\n\r\0") or len(text.splitlines()) > 1:
        raise Refused(f"options.{name} holds a line end or a zero byte, which a fence agent cannot be told")
    # Agents strip what stands around a value, and take one pair of quotes off.
    return f'"{text}"' if text != text.strip() or (text[:1] == text[-1:] == '"') else text


def _read_secret(name: str, place: SecretFrom) -> str:
    try:
        return os.fsdecode(read_secret(place))
    except SecretError as error:
        raise Refused(f"options.{name}: {error}") from error
