"""How a value stands in a key: as JSON, compressed if it would not fit, and read without trust.

What stands in the coordinator may have been written by another version of holdfast, by a person, or by somebody who wants to
do harm. Reading it never fails with anything but `NotUnderstoodError`, and never takes more memory than `UNPACKED_MAX_BYTES`.
"""

import zlib
from typing import TypeVar

import msgspec

from holdfast.ports.coordination import VALUE_MAX_BYTES

UNPACKED_MAX_BYTES = 4 * 1024 * 1024
NUMBER_DIGITS_MAX = 12  # times LEASE_BLOCK, it fits into 64 bits

V = TypeVar("V")


class NotUnderstoodError(Exception):
    """These bytes are no value of ours."""


class TooLargeError(Exception):
    """The value does not fit into a key, not even compressed."""

    def __init__(self, plain: int, packed: int) -> None:
        super().__init__(f"{plain} bytes, compressed {packed}, and a key holds {VALUE_MAX_BYTES}")


def encoded(value: msgspec.Struct) -> bytes:
    """Return what to write into a key; TooLargeError if that cannot be."""
    plain = msgspec.json.encode(value)
    if len(plain) <= VALUE_MAX_BYTES:
        return plain
    packed = zlib.compress(plain, 9)
    # What could not be read again must not be written.
    if len(packed) > VALUE_MAX_BYTES or len(plain) > UNPACKED_MAX_BYTES:
        raise TooLargeError(len(plain), len(packed))
    return packed


def decoded(value: bytes, kind: type[V]) -> V:
    """Return what stands in a key; NotUnderstoodError if it is something else."""
    # A compressed value begins with `x`, and no JSON object does.
    plain = _unpacked(value) if value[:1] == b"x" else value
    try:
        return msgspec.json.decode(plain, type=kind)
    except (ValueError, RecursionError) as error:  # not JSON, not of this kind, not UTF-8; nested without end
        raise NotUnderstoodError(str(error)) from None


def number_in(value: bytes) -> int:
    """Return the number that stands in a key, as decimal digits; NotUnderstoodError if it is something else."""
    if not value.isdigit() or len(value) > NUMBER_DIGITS_MAX:
        raise NotUnderstoodError(f"{value[:20]!r} is no number")
    return int(value)


def _unpacked(value: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        plain = unpacking.decompress(value, UNPACKED_MAX_BYTES)
    except zlib.error as error:
        raise NotUnderstoodError(str(error)) from None
    if not unpacking.eof or unpacking.unused_data:
        raise NotUnderstoodError(f"more than {UNPACKED_MAX_BYTES} bytes, or cut off")
    return plain
