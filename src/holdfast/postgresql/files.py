"""Our files in and beside a data directory: written whole or not at all, and owned by who runs the server.

What must survive a clone or a rewind stands beside the data, above all the mark of an unfinished work: a directory
that was half made, cloned or rewound looks like any other, and must never be started as if it were one.
"""

import os
import shutil
from pathlib import Path

import msgspec

from holdfast.model.value import Value
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.programs import find_account


class Unfinished(Value, frozen=True):
    """A work on the data that began and did not end."""

    work: str  # bootstrap, clone, rewind
    detail: str = ""


def write_file(instance: Instance, path: Path, text: str, mode: int = 0o600) -> None:
    """Write `text` so that after a crash there is the old content or the new one. OSError, NoAccount otherwise."""
    account = find_account(instance)
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if account.user is not None and account.group is not None:
            os.fchown(descriptor, account.user, account.group)
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)


def read_file(path: Path) -> str:
    """Return the content of `path`, nothing if it is not there."""
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""


def make_beside(instance: Instance) -> None:
    """Make our folder beside the data, for its owner alone. OSError, NoAccount otherwise."""
    account = find_account(instance)
    instance.beside.mkdir(mode=0o700, exist_ok=True)
    if account.user is not None and account.group is not None:
        os.chown(instance.beside, account.user, account.group)


def give_to_owner(instance: Instance, path: Path) -> None:
    """Make the owner of the data own `path` itself."""
    account = find_account(instance)
    if account.user is not None and account.group is not None:
        os.chown(path, account.user, account.group)


def sync_folder(path: Path) -> None:
    """Bring a folder's names onto the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- the mark of an unfinished work ---------------------------------------------------------------------


def _mark(instance: Instance) -> Path:
    return instance.beside / "unfinished"


def begin(instance: Instance, work: str, detail: str = "") -> None:
    """Say on disk that the data cannot be trusted from now on, until `finish`."""
    make_beside(instance)
    write_file(instance, _mark(instance), msgspec.json.encode(Unfinished(work, detail)).decode())


def finish(instance: Instance) -> None:
    """Say on disk that the data is whole. Its names come onto the disk before that."""
    sync_folder(instance.folder)
    sync_folder(instance.folder.parent)
    _mark(instance).unlink(missing_ok=True)
    sync_folder(instance.beside)


def unfinished(instance: Instance) -> Unfinished | None:
    """Return which work on the data did not end, None if it is whole. A mark that cannot be read counts."""
    text = read_file(_mark(instance))
    if not _mark(instance).exists():
        return None
    try:
        return msgspec.json.decode(text.encode(), type=Unfinished)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Unfinished("unknown", "its mark cannot be read")


# --- moving data aside ----------------------------------------------------------------------------------


def set_aside(instance: Instance) -> Path | None:
    """Move the data beside itself, so that what only it has can still be had; return where. None: no data."""
    aside = Path(f"{instance.data}.aside")
    if not instance.folder.exists():
        return None
    if instance.is_empty:
        instance.folder.rmdir()
        return None
    if aside.exists():  # of an earlier time: one is kept
        shutil.rmtree(aside)
    instance.folder.rename(aside)
    sync_folder(instance.folder.parent)
    return aside


def is_movable(instance: Instance) -> bool:
    """Tell whether the data can be renamed: a mount point cannot."""
    return not instance.folder.is_mount()
