"""The users and groups of this host, as far as they decide whether a file can be carried out here.

They are handed in as a value, so that a test can be any user on any host.
"""

import grp
import os
import pwd
from collections.abc import Callable

from holdfast.model.value import Value


class Accounts(Value, frozen=True):
    """Who exists on this host, and who we are."""

    users: frozenset[str] | None  # None: ask the system, for each name
    groups: frozenset[str] | None
    user: str  # who reads the file: the agent's user, in the end
    own_groups: frozenset[str]
    is_root: bool

    @classmethod
    def of_this_host(cls) -> "Accounts":
        """Return the accounts as the system knows them. They are not listed: a directory may hold thousands."""
        uid = os.geteuid()
        return cls(
            users=None,
            groups=None,
            user=_user_name(uid),
            own_groups=frozenset(_group_name(gid) for gid in {os.getegid(), *os.getgroups()}),
            is_root=uid == 0,
        )

    def has_user(self, name: str) -> bool:
        """Tell whether the user exists."""
        return _exists(name, pwd.getpwnam) if self.users is None else name in self.users

    def has_group(self, name: str) -> bool:
        """Tell whether the group exists."""
        return _exists(name, grp.getgrnam) if self.groups is None else name in self.groups


def _exists(name: str, ask: Callable[[str], object]) -> bool:
    try:
        ask(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
