"""What servers that were killed leave in memory: removed when a test has ended, and nothing of anybody else's with it.

A PostgreSQL that is killed can no longer remove its System V segment, nor the files of /dev/shm that the segment leads to. The
next server in its folder would; a test removes the folder. The kernel has room for 4,096 segments: after a dozen runs of all
tests initdb would say "No space left on device", and each file holds a megabyte.

So a run has a System V namespace of its own. All that is in it was made by this run, whatever became of the folders, and
that is the proof that it is ours; the kernel removes what is left of it with the last process of the run. Without the right to
make one nothing is removed, as nobody could tell then whose it is.
"""

import ctypes
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.postgresql.postmaster import runs

SEGMENTS: Final = Path("/proc/sysvipc/shm")  # those of the namespace of who reads it
FILES: Final = Path("/dev/shm")
_NAMESPACE: Final = Path("/proc/thread-self/ns/ipc")
_HOME: Final = _NAMESPACE.readlink()
_CLONE_NEWIPC: Final = 0x08000000
_SHM_RDONLY: Final = 0o10000
_IPC_RMID: Final = 0

# The start of PostgreSQL's PGShmemHeader: a magic number, its creator, two sizes, and the number of the file that lists its files.
_HEADER: Final = struct.Struct("=iiQQI")
_HEADER_MAGIC: Final = 679834894
# And of dsm_control_header: a magic number, how many of its items were ever in use, how many there are. Each item starts with
# a file's number, and how often it is used: 0 is not in use.
_LIST: Final = struct.Struct("=III")
_LIST_MAGIC: Final = 0x9A503D32
_ITEMS_AT: Final = 16
_ITEM: Final = struct.Struct("=II")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_libc.shmat.restype = ctypes.c_void_p
_libc.shmdt.argtypes = (ctypes.c_void_p,)
_NOWHERE: Final = ctypes.c_void_p(-1).value


@dataclass(frozen=True, slots=True)
class Segment:
    """One System V segment of this namespace."""

    number: int
    size: int
    creator: int
    attached: int

    @property
    def is_left(self) -> bool:
        """Tell whether nobody uses it. Its creator attaches it a moment after it made it, so it has to be gone too."""
        return not self.attached and not runs(self.creator)


def have_own() -> bool:
    """Give this thread and all that it starts from now on a namespace of their own, once; tell whether they have one."""
    return _is_own() or _libc.unshare(_CLONE_NEWIPC) == 0


def segments() -> list[Segment]:
    """Return all segments of this run; none if it has no namespace of its own."""
    if not _is_own():
        return []
    _, *lines = SEGMENTS.read_text("ascii").splitlines()
    told = ([int(field) for field in line.split()[:7]] for line in lines)
    return [Segment(number, size, creator, attached) for _, number, _, size, creator, _, attached in told]


def clear() -> None:
    """Remove what nobody uses any more. A server that starts meanwhile in a folder of one of them finds nothing, as is well."""
    for segment in segments():
        if segment.is_left:
            for file in files_of(segment):
                file.unlink(missing_ok=True)
            _libc.shmctl(segment.number, _IPC_RMID, None)


def files_of(segment: Segment) -> list[Path]:
    """Return the files that a server of PostgreSQL shared besides its segment: the last one is the list of the others."""
    magic, _, _, _, number = _HEADER.unpack(_start_of(segment))
    if magic != _HEADER_MAGIC or not number:
        return []
    listed = _file(number)
    try:
        content = listed.read_bytes()
    except OSError:
        return []
    return [*(_file(each) for each in _used_in(content)), listed]


def _used_in(content: bytes) -> Iterator[int]:
    if len(content) < _ITEMS_AT:
        return
    magic, count, count_max = _LIST.unpack_from(content)
    if magic != _LIST_MAGIC or not 0 < count <= count_max:
        return
    size = (len(content) - _ITEMS_AT) // count_max  # of an item: releases differ in what follows in it
    for item in range(count):
        number, uses = _ITEM.unpack_from(content, _ITEMS_AT + item * size)
        if uses:
            yield number


def _file(number: int) -> Path:
    return FILES / f"PostgreSQL.{number}"


def _start_of(segment: Segment) -> bytes:
    """Return its first bytes; zeros if it is too short, or gone."""
    if segment.size < _HEADER.size:
        return bytes(_HEADER.size)
    address: int = _libc.shmat(segment.number, None, _SHM_RDONLY)
    if address == _NOWHERE:
        return bytes(_HEADER.size)
    try:
        return ctypes.string_at(address, _HEADER.size)
    finally:
        _libc.shmdt(address)


def _is_own() -> bool:
    return _NAMESPACE.readlink() != _HOME
