"""What a process is given: a small clean environment, its secrets, its user.

The agent's own environment is not passed on: a service must not depend on the shell that somebody happened
to start the agent from. Secrets are read at this moment and live in the process only; an error names their
place, never their value.
"""

import grp
import os
import pwd
from collections.abc import Mapping
from typing import NamedTuple

from holdfast.config.secrets import SecretError, read_secret
from holdfast.model.policy import ProcessSpec, SecretFrom

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """It cannot be started like this; the text says what is wrong and what to do."""


class Account(NamedTuple):
    """Who a process runs as. A number that is None stays as the agent's own."""

    name: str
    home: str
    user: int | None
    group: int | None
    groups: tuple[int, ...] | None


class Environment(NamedTuple):
    """The variables of one process, and which of their values are secret."""

    variables: dict[str, str]
    hidden: tuple[str, ...]


def find_account(spec: ProcessSpec) -> Account:
    """Return who the process runs as."""
    own = pwd.getpwuid(os.geteuid())
    wanted = own if spec.user is None else _find_user(spec.user)
    group = None if spec.group is None else _find_group(spec.group)
    is_own = wanted.pw_uid == own.pw_uid
    if os.geteuid() != 0 and not is_own:
        raise Refused(
            f"only root can run a process as user {spec.user!r}, and this agent runs as {own.pw_name}"
        )
    if os.geteuid() != 0 and group not in {None, os.getegid()}:
        raise Refused(
            f"only root can run a process as group {spec.group!r}, and this agent runs as {own.pw_name}"
        )
    if is_own:
        return Account(own.pw_name, own.pw_dir, None, group, None)
    group = wanted.pw_gid if group is None else group
    return Account(
        wanted.pw_name, wanted.pw_dir, wanted.pw_uid, group, tuple(os.getgrouplist(wanted.pw_name, group))
    )


def build_environment(spec: ProcessSpec, account: Account, marks: dict[str, str]) -> Environment:
    """Return the variables of a process; the marks win over what the file says."""
    variables = {
        "PATH": os.environ.get("PATH", _PATH),
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    hidden = []
    for name, value in spec.env.items():
        if isinstance(value, SecretFrom):
            secret = _read_secret(name, value)
            hidden.append(secret)
            variables[name] = secret
        else:
            variables[name] = value
    for name, text in variables.items():
        if "\0" in text:
            raise Refused(f"env.{name} holds a zero byte, which no environment can carry")
    # A short "secret" would blot out half of every message and is none.
    return Environment(variables | marks, tuple(secret for secret in hidden if len(secret) >= 4))


def read_secrets(places: Mapping[str, SecretFrom]) -> dict[str, str]:
    """Return the secrets themselves; Refused if one cannot be read."""
    return {name: _read_secret(name, place) for name, place in places.items()}


def _read_secret(name: str, place: SecretFrom) -> str:
    try:
        return os.fsdecode(read_secret(place))
    except SecretError as error:
        raise Refused(f"env.{name}: {error}") from error


def _find_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        raise Refused(f"user {name!r} does not exist on this host; create it, or correct `user`") from None


def _find_group(name: str) -> int:
    try:
        return grp.getgrgid(int(name)).gr_gid if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise Refused(f"group {name!r} does not exist on this host; create it, or correct `group`") from None
