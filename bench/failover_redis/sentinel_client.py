"""A client that asks Sentinel where the primary is, as redis-py does it, and writes down what became of each number.

    python sentinel_client.py SPEC

Run in an environment with redis-py and nothing of ours: the lines are those of the lab's own clients.
"""

import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

PATIENCE_S = 1.0
EVERY_S = 0.01


def main(spec: dict[str, Any]) -> None:
    """Add numbers until SIGTERM."""
    errors = import_module("redis.exceptions")
    sentinel = import_module("redis.sentinel")
    is_over: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: is_over.append(number))
    history = os.open(spec["history"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    sentinels = sentinel.Sentinel([tuple(at) for at in spec["sentinels"]], socket_timeout=0.5)
    settings = {
        "password": spec["password"],
        "socket_timeout": PATIENCE_S,
        "socket_connect_timeout": PATIENCE_S,
    }
    primary = sentinels.master_for(spec["name"], **settings)  # redis-py's word
    number = 0
    while not is_over:
        number += 1
        at, outcome, error = _now(), "acknowledged", ""
        try:
            primary.rpush("appended", f"roaming {number}")
        except (errors.RedisError, OSError) as failed:
            outcome, error = "unknown", f"{type(failed).__name__} {failed}"
        if spec["is_new_each"]:
            primary.connection_pool.disconnect()
        told = {"is": "append", "at": at, "client": "roaming", "number": number, "ended": _now()}
        os.write(history, json.dumps({**told, "outcome": outcome, "error": error}).encode() + b"\n")
        time.sleep(EVERY_S)


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
