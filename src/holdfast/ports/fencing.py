"""Making sure that a host is off, so that what it served may be started elsewhere.

Contract (tests/contract/test_fencing_contract.py):
- DONE is a promise that others build on: the device turned the host off, and when asked afterwards said that it is off.
  A program of the operator's own gives that promise with exit code 0.
- FAILED: nothing was tried, or the host is proven to be on. UNKNOWN: everything else. Both free nothing.
- The host is turned off, never rebooted: one that comes back by itself could serve beside its successor.
- One fencing of a host is under way at a time. A second request joins the first and gets its answer; who stops
  waiting does not stop it.
- An answer comes within the policy's `timeout` and a few seconds for ending what does not end by itself.
- Secrets are read when they are needed, are handed over on standard input, and stand in no text that is returned.
- No call raises for what the world does: it answers with a value.
"""

from enum import StrEnum
from typing import Protocol

from holdfast.model.events import Ending
from holdfast.model.ids import HostName
from holdfast.model.policy import FencePolicy
from holdfast.model.time import Duration
from holdfast.model.value import Value


class Fenced(Value, frozen=True):
    """How fencing a host ended."""

    ending: Ending
    text: str  # for people: what was done and seen, and what to do if it failed
    took: Duration
    is_late: bool = False  # its time limit passed, and that is why it is not DONE


class Power(StrEnum):
    """What a fence device says of the host."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"  # no answer, or none that is understood


class DeviceSeen(Value, frozen=True):
    """What came of looking at a fence device without changing anything."""

    is_ready: bool  # it answered and knows the host: fencing may be expected to work
    power: Power
    text: str
    took: Duration
    is_late: bool = False  # its time limit passed


class Fencing(Protocol):
    """The fence devices, as reached from this host."""

    async def fence(self, host: HostName, policy: FencePolicy) -> Fenced:
        """Turn the host off and see that it is. Joins a fencing of the same host that is under way."""

    async def look(self, host: HostName, policy: FencePolicy) -> DeviceSeen:
        """Ask the device how it is and whether the host is on; changes nothing."""

    async def problems_of(self, policy: FencePolicy) -> tuple[str, ...]:
        """Return what would keep this policy from working, as far as it can be told without asking the device; none: ()."""

    async def close(self) -> None:
        """End what is under way: who waits is told UNKNOWN."""
