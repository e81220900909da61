"""What a component prints: one file that grows, one that is full, and the last lines as evidence.

The process writes to the file itself, opened for appending: there is no pipe that would break, or fill up, when
the agent is gone. So the file cannot be renamed away under it; when it is full it is copied and cut to nothing,
and what is printed between these two steps is lost.
"""

import contextlib
import os
from pathlib import Path

_LINES = 5
_BYTES = 4096  # looked at, from the end
_SHOWN = 800  # characters


def open_for_process(path: Path) -> int:
    """Return a descriptor that a process may have as its output."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def size(path: Path) -> int:
    """Return how long the output is by now."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def rotate(path: Path, max_bytes: int) -> None:
    """Make room if `path` is full. What does not fit on the disk is given up: the service comes first."""
    full = size(path)
    if full < max_bytes:
        return
    with contextlib.suppress(OSError):
        try:
            with path.open("rb") as source, path.with_name(f"{path.name}.1").open("wb") as copy:
                source.seek(max(0, full - max_bytes))
                left = max_bytes  # and not to the end: it grows while it is copied
                while left and (piece := source.read(min(left, 1 << 20))):
                    copy.write(piece)
                    left -= len(piece)
        finally:
            os.truncate(path, 0)


def last_lines(path: Path, since: int = 0, hidden: tuple[str, ...] = ()) -> str:
    """Return the last few lines in one, printable, bounded; `hidden` texts are blotted out."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            # A file that shrank was rotated since: all of it is newer.
            file.seek(max(end - _BYTES, since if since <= end else 0))
            text = file.read(_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    for secret in hidden:
        text = text.replace(secret, "***")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = " | ".join(lines[-_LINES:])
    return "".join(char if char.isprintable() else " " for char in shown)[-_SHOWN:]
