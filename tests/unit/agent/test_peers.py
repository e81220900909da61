import grp
import os
import pwd
import socket

import pytest

from holdfast.agent.peers import Peer, peer_of, user_name, why_denied

NOBODY = pwd.getpwnam("nobody")


def test_kernel_tells_who_connected() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert peer.name == user_name(os.geteuid())


OTHERS_GROUP = grp.getgrgid(NOBODY.pw_gid).gr_name
FOREIGN_GROUP = next(
    group.gr_name for group in grp.getgrall() if group.gr_gid != NOBODY.pw_gid and not group.gr_mem
)


@pytest.mark.parametrize(
    ("uid", "group", "reason"),
    [
        (0, None, ""),
        (os.geteuid(), None, ""),
        (NOBODY.pw_uid, None, "control.group lets others in"),
        (NOBODY.pw_uid, OTHERS_GROUP, ""),
        (NOBODY.pw_uid, FOREIGN_GROUP, "not a member of group"),
        (NOBODY.pw_uid, "no-such-group", "there is no such group"),
        (0, "no-such-group", ""),
        (54321, None, "user 54321 may not"),  # has no entry anywhere
        (54321, FOREIGN_GROUP, "not a member of group"),
    ],
)
def test_only_root_the_agents_user_and_the_group_may(uid: int, group: str | None, reason: str) -> None:
    gid = NOBODY.pw_gid if uid == NOBODY.pw_uid else 54321
    denied = why_denied(Peer(1, uid, gid, user_name(uid)), group)
    assert reason in denied
    assert bool(denied) == bool(reason)


def test_root_is_named_once_where_the_agent_runs_as_root() -> None:
    own = user_name(os.geteuid())
    denied = why_denied(Peer(1, NOBODY.pw_uid, NOBODY.pw_gid, "nobody"), None)
    assert ("only root may;" if os.geteuid() == 0 else f"only root and {own} may;") in denied
