"""The policy that all hosts share: the operator's file, numbered, signed, and changed only by who has seen the latest.

    ROOT/policy/current         the PolicyRevision in force
    ROOT/policy/revisions/N     the last HISTORY_MAX of them, the present one included

The number grows by one with each apply and never returns; going back is applying an older text under a new number. The file
says what to run as whom, so it is signed with a key that is derived from the cluster's secret: whoever can write to the
coordinator, and no more, can take the policy away but cannot have a command run. He can also put an older one back, which is
signed as well: so whoever obeys a policy remembers its number, and asks for none that is smaller.
"""

from holdfast.coordination.limits import check_key
from holdfast.coordination.recipes.answers import Doubtful, Refused, settled
from holdfast.coordination.recipes.signing import Seal
from holdfast.coordination.recipes.values import NotUnderstoodError, TooLargeError, decoded, encoded
from holdfast.model.value import Value
from holdfast.ports.coordination import Condition, Coordinator, Entry, Expect, Guard, Write

LABEL = "holdfast policy 1"
HISTORY_MAX = 20


class PolicyRevision(Value, frozen=True):
    """One version of the file."""

    number: int
    revision: str  # what hosts report that they run
    text: str
    by: str
    mac: str


class Applied(Value, frozen=True):
    """It is in force, or was until somebody applied the next one."""

    policy: PolicyRevision


class Conflict(Value, frozen=True):
    """Somebody else was quicker: not applied. What is in force now; None: nothing."""

    standing: PolicyRevision | None


class Forged(Value, frozen=True):
    """What stands in this key was not written by who knows the cluster's secret, or has been put back."""

    key: str
    why: str


class TooLarge(Value, frozen=True):
    """The file does not fit into the coordinator. Not applied."""

    why: str


class SharedPolicy:
    """The policy below a root (`/SYSTEM`). Reading raises UnavailableError when nothing can be known."""

    def __init__(self, coordinator: Coordinator, root: str, *, secret: bytes) -> None:
        check_key(root)
        self._coordinator = coordinator
        self._seal = Seal(secret, LABEL, root.strip("/"))
        self._revisions = f"{root}/policy/revisions"
        self.key = f"{root}/policy/current"

    async def apply(
        self, text: str, revision: str, by: str, expect_number: int | None, *, above: int = 0
    ) -> Applied | Conflict | Forged | TooLarge | Refused | Doubtful:
        """Put a text in force, if `expect_number` (0: nothing) still is.

        None stands for whatever is in force, a forgery included: the way out of one. `above`: a number that was seen before the
        coordinator forgot it; the new one is larger.
        """
        sent: PolicyRevision | None = None

        async def attempt(doubt: str) -> Applied | Conflict | Forged:
            nonlocal sent
            # What is in force before the history: if it has moved, what we sent has taken effect by now, or never will.
            entry = await self._coordinator.get(self.key)
            standing = None if entry is None else self.understood(entry)
            if doubt and sent is not None and await self.revision(sent.number) == sent:
                return Applied(sent)
            if expect_number is None:
                number = 1 + max(above, await self._last_number(standing))
            elif isinstance(standing, Forged):
                return standing
            elif expect_number != _number(standing):
                return Conflict(standing)
            else:
                number = 1 + max(above, expect_number)
            expect: Expect = Condition.ABSENT if entry is None else entry.version
            sent = self._signed(number, text, revision, by)
            await self._coordinator.transact([Guard(self.key, expect)], self._writes(sent))
            return Applied(sent)

        try:
            return await settled(attempt)
        except TooLargeError as error:
            return TooLarge(f"the file is too large to be shared: {error}")

    async def current(self, *, at_least: int = 0) -> PolicyRevision | Forged | None:
        """Return what is in force; None: nothing was ever applied. `at_least`: the largest number that was seen before."""
        entry = await self._coordinator.get(self.key)
        if entry is not None:
            return self.understood(entry, at_least=at_least)
        return None if at_least == 0 else Forged(self.key, f"nothing stands there, and number {at_least} did")

    async def revision(self, number: int) -> PolicyRevision | Forged | None:
        """Return what was applied under this number; None: nothing, or too long ago."""
        entry = await self._coordinator.get(f"{self._revisions}/{number}")
        return None if entry is None else self.understood(entry)

    async def history(self) -> list[PolicyRevision | Forged]:
        """Return what was applied, the newest first."""
        entries = (await self._coordinator.list(self._revisions)).entries.values()
        return sorted(map(self.understood, entries), key=_number, reverse=True)

    def understood(self, entry: Entry, *, at_least: int = 0) -> PolicyRevision | Forged:
        """Return the policy that stands in a key of `policy`, if whoever wrote it knows the secret."""
        try:
            policy = decoded(entry.value, PolicyRevision)
            is_genuine = self._seal.is_genuine(policy.mac, *_signed_parts(policy))
        except NotUnderstoodError as error:
            return Forged(entry.key, f"it is no policy: {error}")
        if not is_genuine:
            return Forged(entry.key, f"number {policy.number}, by {policy.by!r}: its signature is false")
        if entry.key not in {self.key, f"{self._revisions}/{policy.number}"}:
            return Forged(entry.key, f"number {policy.number} stands there")
        if policy.number < at_least:
            return Forged(entry.key, f"number {policy.number} was put back: {at_least} stood there")
        return policy

    # --- inside ---------------------------------------------------------------------------------------

    def _signed(self, number: int, text: str, revision: str, by: str) -> PolicyRevision:
        policy = PolicyRevision(number, revision, text, by, "")
        return PolicyRevision(number, revision, text, by, self._seal.sign(*_signed_parts(policy)))

    def _writes(self, policy: PolicyRevision) -> list[Write]:
        value = encoded(policy)
        writes = [Write(self.key, value), Write(f"{self._revisions}/{policy.number}", value)]
        if policy.number > HISTORY_MAX:
            writes.append(Write(f"{self._revisions}/{policy.number - HISTORY_MAX}", None))
        return writes

    async def _last_number(self, standing: PolicyRevision | Forged | None) -> int:
        return max([_number(standing), *map(_number, await self.history())])


def _signed_parts(policy: PolicyRevision) -> tuple[int, str, str, str]:
    return policy.number, policy.revision, policy.by, policy.text


def _number(policy: PolicyRevision | Forged | None) -> int:
    return policy.number if isinstance(policy, PolicyRevision) else 0
