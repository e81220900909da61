"""Who stood in for a primary outside gives its role up under its lease once it is to be primary itself, and is promoted next."""

from holdfast.failover.obeying import obey_lease
from holdfast.loop import observe_process
from holdfast.model.cluster import Entitlement
from holdfast.model.decisions import Demote
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.standing import Role
from holdfast.model.state import State
from holdfast.model.value import replace
from tests.unit.core.test_reading import FRESH, HERE, NOW, PROBE, state

UNOPENED = Observation(Outcome.UNKNOWN, Layer.ANSWER, Failure.UNOPENED, 0, NOW)


def holder(*, role_since: int, role: Role = Role.PRIMARY) -> State:
    """Return a host with the lease, whose member was seen as it is not to be at NOW."""
    seen = observe_process.counted(FRESH, PROBE, UNOPENED)
    here = replace(HERE, role=role, role_since=role_since, probes={"reading": seen})
    return replace(state(here), entitlements={"db": Entitlement("a", 6)})


def demoted(now: State) -> list[str]:
    decisions = obey_lease(now, now.policy.services["db"], NOW).decisions
    return [each.component for each in decisions if isinstance(each, Demote)]


def test_a_holder_that_was_never_promoted_gives_its_role_up() -> None:
    assert demoted(holder(role_since=NOW - 1)) == ["db/a"]


def test_what_was_seen_before_its_promotion_says_nothing_of_it() -> None:
    assert demoted(holder(role_since=NOW + 1)) == []


def test_one_without_the_role_has_none_to_give_up() -> None:
    assert demoted(holder(role_since=NOW - 1, role=Role.STANDBY)) == []


def test_that_it_was_not_promoted_counts_neither_for_nor_against_it() -> None:
    seen = observe_process.counted(FRESH, PROBE, UNOPENED)
    assert (seen.passed, seen.streak, seen.last) == (FRESH.passed, FRESH.streak, UNOPENED)
