"""Disks that can be full, or give up: mounted where a program keeps its state."""

import errno
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.network import own_name, run

_BALLAST = ".ballast"


class SmallDisk:
    """A file system of `bytes_max` at `place`, which is made if it is not there."""

    def __init__(self, place: Path, bytes_max: int = 4 << 20) -> None:
        self.place = place
        self._bytes_max = bytes_max

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True, exist_ok=True)
        # The name of its source tells a sweep whose it is.
        source = own_name("disk")
        run(["mount", "-t", "tmpfs", "-o", f"size={self._bytes_max},mode=0700", source, str(self.place)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        run(["umount", "--lazy", str(self.place)])  # lazy: a process that lives on may hold it open

    def fill(self) -> None:
        """Leave no byte: every write that needs a new block fails with ENOSPC."""
        with (self.place / _BALLAST).open("ab", buffering=0) as ballast:
            for size in (1 << 16, 1):  # a file system counts in blocks: the last write may be cut short
                try:
                    for _ in range(self._bytes_max // size + 1):
                        if ballast.write(b"\0" * size) < size:
                            break
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give the space back."""
        (self.place / _BALLAST).unlink(missing_ok=True)


class FrailDisk:
    """A file system at `place` that can turn read-only under whoever writes, as ext4 does after an error of its disk."""

    def __init__(self, place: Path, image: Path, bytes_max: int = 128 << 20) -> None:
        """`image` is the file that stands for the disk."""
        self.place = place
        self._image = image
        self._bytes_max = bytes_max

    @staticmethod
    def is_permitted() -> bool:
        """Tell whether this machine can make one."""
        done = subprocess.run(["losetup", "--find"], capture_output=True, check=False)
        return done.returncode == 0

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(self._bytes_max)
        run(["mkfs.ext4", "-q", str(self._image)])
        run(["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.place)])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        run(["umount", "--lazy", str(self.place)])
        self._image.unlink()

    def give_up(self) -> None:
        """Let nobody write any more; it stays so."""
        run(["mount", "-o", "remount,abort", str(self.place)])
