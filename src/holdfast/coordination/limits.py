"""What a key, a value and a transaction may be: the same for every engine, so that a program may change its engine.

The rules are the narrowest of all engines: ZooKeeper has no `.` and `..` in paths and no key twice in a
transaction, etcd takes 128 operations and 1.5 MiB at a time. Breaking one is a mistake of the program: ValueError.
"""

import re
from collections.abc import Sequence

from holdfast.ports.coordination import VALUE_MAX_BYTES, Guard, Write

KEY_MAX_BYTES = 512
TRANSACTION_WRITES_MAX = 32
ROOT = "/"

_KEY = re.compile(r"(?:/[a-z0-9_.-]+)+")
_DOTS = re.compile(r"/\.\.?(?:/|$)")


def is_key(key: str) -> bool:
    """Return whether a key may be written so; how long one may be is `check_key`'s."""
    return _KEY.fullmatch(key) is not None and not _DOTS.search(key)


def check_key(key: str) -> None:
    """Refuse what is no key."""
    if len(key) > KEY_MAX_BYTES:
        raise ValueError(f"the key {key[:40]!r}... has {len(key)} bytes, at most {KEY_MAX_BYTES}")
    if not is_key(key):
        message = f"{key!r} is no key: write lower-case letters, digits, -, _ and . between slashes, as /shop/leader"
        raise ValueError(message)


def check_prefix(prefix: str) -> None:
    """Refuse what is neither a key nor the root."""
    if prefix != ROOT:
        check_key(prefix)


def check_value(value: bytes) -> None:
    """Refuse a value that some engine would not take."""
    if len(value) > VALUE_MAX_BYTES:
        raise ValueError(f"the value has {len(value)} bytes, at most {VALUE_MAX_BYTES}")


def check_transaction(guards: Sequence[Guard], writes: Sequence[Write]) -> None:
    """Refuse what some engine could not do as one transaction."""
    if len(writes) > TRANSACTION_WRITES_MAX:
        raise ValueError(f"a transaction of {len(writes)} writes, at most {TRANSACTION_WRITES_MAX}")
    for guard in guards:
        check_key(guard.key)
    for write in writes:
        check_key(write.key)
        if write.value is not None:
            check_value(write.value)
    if len({write.key for write in writes}) < len(writes):
        raise ValueError("a transaction writes a key once")


def is_below(key: str, prefix: str) -> bool:
    """Return whether `key` is `prefix` or below it. `/a/bc` is not below `/a/b`."""
    return prefix in (ROOT, key) or key.startswith(prefix + "/")
