"""Where HAProxy's files and sockets are.

HAProxy is started with `-C FOLDER` and is given relative names only, so its configuration does not
depend on where the folder is. A Unix socket's address is limited to 107 characters and pytest's or an
operator's folders are often longer; `/proc/self/fd` gives us a short name for the same socket.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.model.value import Value

CONFIGURATION = "haproxy.cfg"
CANDIDATE = "haproxy.cfg.new"
MAP = "active.map"
STATES = "servers.state"
RUNTIME = "stats.sock"
MASTER = "master.sock"

_ADDRESS_MAX = 100  # Linux takes 107 bytes; the rest is left for whoever types it


class Places(Value, frozen=True):
    """The folder that HAProxy runs in."""

    folder: Path  # absolute

    @classmethod
    def under(cls, directory: Path) -> "Places":
        """Return HAProxy's places inside the system's folder."""
        return cls(directory.absolute() / "haproxy")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@contextmanager
def reachable(socket: Path) -> Iterator[str]:
    """Give an address of `socket` that is short enough to connect to, whatever its path."""
    if len(os.fsencode(socket)) <= _ADDRESS_MAX:
        yield str(socket)
        return
    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)


def read(path: Path) -> str:
    """Return the file's text; empty if there is no such file."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


def replace_text(path: Path, text: str) -> None:
    """Replace the file's text at once: a reader sees the old text or the new one."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, "utf-8")
    beside.replace(path)
