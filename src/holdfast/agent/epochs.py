"""The epoch book: a fencing token is never given out twice, not even after a loss of power.

Epochs live in the state, and the state's newest turns may be lost with the machine: the journal is written behind.
A receiver that saw epoch 8 would then meet a second, different epoch 8. So before an epoch is used, a ceiling at or
above it is on disk, synced. It is raised in blocks, so the disk is asked once in sixteen epochs. A new agent tells
the core the ceilings, and it goes on above them: epochs may be skipped, never repeated.
"""

import os
from pathlib import Path

import msgspec

from holdfast.model.ids import Epoch, ServiceName

_BLOCK = 16


class EpochBookError(Exception):
    """The book cannot be read: what is in it is unknown, and guessing could repeat an epoch."""


class EpochBook:
    """The ceilings of one state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ceilings = _read(path)

    def ceiling(self, service: ServiceName) -> Epoch:
        """Return the highest epoch of the service that may be in use; 0 if none ever was."""
        return self._ceilings.get(service, 0)

    def covers(self, service: ServiceName, epoch: Epoch) -> bool:
        """Tell whether `epoch` may be used without writing first."""
        return epoch <= self.ceiling(service)

    def raise_to(self, service: ServiceName, epoch: Epoch) -> None:
        """Put a ceiling at or above `epoch` on disk. Returns when it is synced; OSError if it cannot be."""
        if self.covers(service, epoch):
            return
        ceilings = {**self._ceilings, service: epoch + _BLOCK - 1}
        _write(self._path, ceilings)
        self._ceilings = ceilings

    def floors(self) -> dict[ServiceName, Epoch]:
        """Return for each service the epoch above which its next one must be."""
        return dict(self._ceilings)


def _read(path: Path) -> dict[ServiceName, Epoch]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[ServiceName, Epoch])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        message = (
            f"{path} cannot be read ({error}): it holds the epochs that were given out. "
            f"Restore it, or write a higher number than any in use for each service"
        )
        raise EpochBookError(message) from error


def _write(path: Path, ceilings: dict[ServiceName, Epoch]) -> None:
    # Written beside, synced, renamed, and the folder synced: at any instant there is one whole book.
    beside = path.with_suffix(".new")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, msgspec.json.encode(ceilings, order="sorted"))
        os.fsync(file)
    finally:
        os.close(file)
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
