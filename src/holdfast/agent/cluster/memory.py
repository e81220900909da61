"""What of the cluster has to survive the agent: the highest leader's epoch obeyed for each service, and the policy's number.

An assignment that was written under a smaller epoch is of a deposed leader, and a policy with a smaller number was put back
by somebody: both are refused, by this life of the agent and by the next.
"""

from pathlib import Path

import msgspec

from holdfast.components.records import put_in_place
from holdfast.model.ids import Epoch, ServiceName
from holdfast.model.value import Value

FILE = "cluster.json"


class Memory(Value, frozen=True):
    """What was seen, at the highest."""

    assigned_under: dict[ServiceName, Epoch] = {}
    policy_number: int = 0


class MemoryUnreadableError(Exception):
    """What was remembered cannot be read, and forgetting it could mean to obey a deposed leader."""


def recall(directory: Path) -> Memory:
    """Return what is remembered; MemoryUnreadableError if that cannot be read."""
    path = directory / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.DecodeError) as error:
        message = (
            f"{path} cannot be read ({error}). Remove it if no other agent of this system is partitioned away"
        )
        raise MemoryUnreadableError(message) from error


def remember(directory: Path, memory: Memory) -> None:
    """Put it on disk; OSError if that does not work."""
    put_in_place(directory / FILE, msgspec.json.encode(memory))
