"""Who may talk to the agent: decided in one place, for every verb, by the kernel's word on who connected.

Root and the agent's own user may do everything. Members of `control.group` may look and operate; to stop everything is for
the others. Everybody else is refused, whatever the modes of the socket and its folder happen to be.
"""

import grp
import os
import pwd
import socket
import struct

from holdfast.model.value import Value

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Peer(Value, frozen=True):
    """Who connected."""

    pid: int
    uid: int
    gid: int
    name: str  # of the user; its number where it has no name


def peer_of(connection: socket.socket) -> Peer:
    """Return who connected, as the kernel knows it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    return Peer(pid, uid, gid, user_name(uid))


def why_denied(peer: Peer, group: str | None) -> str:
    """Return why `peer` may not talk to this agent; empty if it may. May ask the user database."""
    if is_owner(peer):
        return ""
    if group is None:
        own = os.geteuid()
        who = f"root and {user_name(own)}" if own else "root"
        return f"user {peer.name} may not: only {who} may; control.group lets others in"
    number = group_number(group)
    if number is None:
        return f"user {peer.name} may not: control.group names {group!r}, and there is no such group"
    if number in groups_of(peer):
        return ""
    return f"user {peer.name} may not: not a member of group {group}"


def is_owner(peer: Peer) -> bool:
    """Tell whether it is root or the agent's own user."""
    return peer.uid in (0, os.geteuid())


def groups_of(peer: Peer) -> tuple[int, ...]:
    """Return the numbers of the groups that the peer's user is in, by the user database."""
    try:
        return (peer.gid, *os.getgrouplist(pwd.getpwuid(peer.uid).pw_name, peer.gid))
    except (KeyError, OSError):
        return (peer.gid,)


def group_number(group: str) -> int | None:
    """Return the number of the group called so; None if there is none."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def user_name(uid: int) -> str:
    """Return the user's name, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
