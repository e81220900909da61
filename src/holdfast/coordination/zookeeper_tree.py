"""How keys become leaves, and how a conditional write becomes one atomic request.

The key `/shop/members/h1` is the leaf `h1=` in the folder `<prefix>/shop/members`. Folders are never keys and keys never have
children: so a key may also be the beginning of others, may belong to a session, and can always be deleted.

Version and token are the transaction ids (mzxid, czxid) of the leaf's last write and of its creation: they only grow. ZooKeeper
itself can compare only a leaf's count of writes, which begins at 0 again with each new incarnation: a leader key that
passed on while we were thinking would look the same. Therefore each creation also writes to the folder, in the same
transaction, and a write that depends on what was read compares the folder's count as well: unchanged means that
nothing in it was created anew since we looked.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from holdfast.model.value import Value
from holdfast.ports.coordination import Condition, ConflictError, Entry, Guard, Write

MARK = "="  # no key has it
ANY_COUNT = -1


class Leaf(Value, frozen=True):
    """A key as it was read, and how often this incarnation has been written."""

    entry: Entry
    count: int


class Check(Value, frozen=True):
    """The leaf must exist and have been written so often."""

    path: str
    count: int


class Put(Value, frozen=True):
    """Write to a leaf that exists."""

    path: str
    value: bytes
    count: int


class Create(Value, frozen=True):
    """Create a leaf that does not exist."""

    path: str
    value: bytes
    is_ephemeral: bool


class Delete(Value, frozen=True):
    """Delete a leaf."""

    path: str
    count: int


Step: TypeAlias = Check | Put | Create | Delete


class Reading(Value, frozen=True):
    """All that a write depends on. The folders were read before the leaves."""

    leaves: Mapping[str, Leaf | None]  # by key
    folders: Mapping[str, int]  # path -> how often it was written


class MissingFoldersError(Exception):
    """These folders have to be created first."""

    def __init__(self, folders: Sequence[str]) -> None:
        super().__init__(*folders)
        self.folders = folders


def leaf_path(root: str, key: str) -> str:
    """Return the leaf of a key."""
    return root + key + MARK


def folder_path(root: str, key: str) -> str:
    """Return the folder that a key's leaf is in."""
    return (root + key).rpartition("/")[0]


def key_of(root: str, path: str) -> str:
    """Return the key of a leaf."""
    return path.removeprefix(root).removesuffix(MARK)


def entry_of(key: str, value: bytes, stat: object) -> Entry:
    """Return the key as the port knows it."""
    owner = stat.ephemeralOwner  # type: ignore[attr-defined]  # kazoo's ZleafStat
    return Entry(key, value, stat.mzxid, stat.czxid, str(owner) if owner else None)  # type: ignore[attr-defined]  # the same


def planned(root: str, guards: Sequence[Guard], writes: Sequence[Write], reading: Reading) -> list[Step]:
    """Return the steps that do the writes if, and only if, everything still is as it was read.

    Raises ConflictError if a guard does not hold, and MissingFoldersError.
    """
    for guard in guards:
        if not _holds(guard, reading.leaves[guard.key]):
            raise ConflictError(f"{guard.key} is not as expected")
    watched = _watched(root, guards, writes, reading)
    touched = {folder_path(root, write.key) for write in writes if _is_new(write, reading)}
    if missing := [folder for folder in sorted(watched | touched) if folder not in reading.folders]:
        raise MissingFoldersError(missing)
    written = {write.key for write in writes}
    steps: list[Step] = [Check(folder, reading.folders[folder]) for folder in sorted(watched)]
    steps += [
        Check(leaf_path(root, guard.key), leaf.count)
        for guard in guards
        if guard.expect is not Condition.ANY
        and guard.key not in written
        and (leaf := reading.leaves[guard.key]) is not None
    ]
    steps += [Put(folder, b"", ANY_COUNT) for folder in sorted(touched)]
    for write in writes:
        steps += _steps(root, write, reading.leaves[write.key])
    return steps


def _watched(root: str, guards: Sequence[Guard], writes: Sequence[Write], reading: Reading) -> set[str]:
    """Return the folders in which nothing may be created between our reading and our writing."""
    created = {write.key for write in writes if write.value is not None}
    keys = {
        guard.key
        for guard in guards
        # Of a key that must be absent and is created, the creation itself is the proof.
        if guard.expect is not Condition.ANY
        and not (guard.expect is Condition.ABSENT and guard.key in created)
    }
    if len(writes) > 1 or keys:
        # What is to be deleted and is not there must not appear meanwhile; alone, it would just have come later.
        keys |= {write.key for write in writes if write.value is None and reading.leaves[write.key] is None}
    return {folder_path(root, key) for key in keys}


def _is_new(write: Write, reading: Reading) -> bool:
    if write.value is None:
        return False
    leaf = reading.leaves[write.key]
    return leaf is None or leaf.entry.session != write.session


def _steps(root: str, write: Write, leaf: Leaf | None) -> list[Step]:
    path = leaf_path(root, write.key)
    if write.value is None:
        return [] if leaf is None else [Delete(path, leaf.count)]
    create = Create(path, write.value, is_ephemeral=write.session is not None)
    if leaf is None:
        return [create]
    if leaf.entry.session == write.session:
        return [Put(path, write.value, leaf.count)]
    return [Delete(path, leaf.count), create]  # a leaf cannot change hands


def _holds(guard: Guard, leaf: Leaf | None) -> bool:
    match guard.expect:
        case Condition.ANY:
            return True
        case Condition.ABSENT:
            return leaf is None
        case version:
            return leaf is not None and leaf.entry.version == version
