"""What a write to the coordinator came to, and how it is brought to an end.

Every write here is made the same way: look, write under the condition of what was seen, and after a conflict or a missing
answer look again. A write that nobody answered may still be on its way. Writing once more under the *same* condition is
harmless: only one of the two can take effect, whichever arrives first, and the next look tells. Nothing here ever waits for
the world to change; a few looks decide, then the answer says what is proven and what is not.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from holdfast.model.value import Value
from holdfast.ports.coordination import ConflictError, SessionLostError, UnavailableError, UnknownError

LOOKS_MAX = 3


class Done(Value, frozen=True):
    """It is as asked for."""


class Refused(Value, frozen=True):
    """Proven: it was not done, and nothing that we have sent can still do it."""

    why: str


class Doubtful(Value, frozen=True):
    """It may have been done, or may be done by a request that is still on its way. What stands there will tell."""

    why: str


A = TypeVar("A")


async def settled(attempt: Callable[[str], Awaitable[A]]) -> A | Refused | Doubtful:
    """Return what `attempt` returns, or what is known when it cannot be brought to an end.

    `attempt` looks and writes. It is told what the doubt is, if an earlier attempt had no answer (else ""), and must then
    recognise what that attempt may have written. What it refuses in doubt must be refused to the earlier attempt too.
    """
    doubt, conflict = "", ""
    for _ in range(LOOKS_MAX):
        try:
            return await attempt(doubt)
        except ConflictError as error:
            conflict = str(error)
        except UnknownError as error:
            doubt = str(error) or "no answer"
        except UnavailableError as error:
            # This attempt was not sent; one before it may have been.
            return Doubtful(doubt) if doubt else Refused(f"the coordinator cannot be reached: {error}")
        except SessionLostError as error:
            return Refused(f"the session is lost: {error}")  # and what was bound to it is gone as well
    return Doubtful(doubt) if doubt else Refused(conflict)
