"""Who resumes ends what was named, and neither somebody else's pause nor somebody else's drain."""

from holdfast.loop.commands import refusals
from holdfast.loop.observe_operator import requested
from holdfast.model.events import ResumeRequested, SwitchoverRequested
from holdfast.model.state import Drain, Pause, State
from holdfast.model.value import replace
from tests.unit.core.test_reading import HERE, NOW, state

LATER = NOW + 1000
DRAIN = Drain("ann", "new disk", NOW)


def held(*, system: Pause | None, service: Pause | None) -> State:
    """Return a host whose member is drained, given up and flapping, under these pauses."""
    begun = state(replace(HERE, drain=DRAIN, gave_up_at=NOW, held_until=LATER))
    begun = begun.with_service(replace(begun.services["db"], pause=service))
    return replace(begun, pause=system)


REPAIR = Pause("ann", "manual repair", NOW, LATER)
FIRMWARE = Pause("bob", "firmware", NOW, LATER)
BOTH = held(system=FIRMWARE, service=REPAIR)


def resumed(target: str | None) -> State:
    return requested(BOTH, ResumeRequested(target, "bob"), NOW)


def test_the_end_of_the_systems_pause_is_not_that_of_a_services_own() -> None:
    after = resumed(None)
    assert after.pause is None
    assert after.services["db"].pause == REPAIR
    assert after.components["db/a"].drain == DRAIN


def test_the_end_of_a_services_pause_ends_no_drain_and_begins_its_budget_anew() -> None:
    after = resumed("db")
    assert (after.pause, after.services["db"].pause) == (FIRMWARE, None)
    member = after.components["db/a"]
    assert (member.drain, member.gave_up_at, member.held_until) == (DRAIN, None, None)


def test_the_end_of_a_drain_ends_no_pause() -> None:
    after = resumed("db/a")
    assert (after.pause, after.services["db"].pause) == (FIRMWARE, REPAIR)
    member = after.components["db/a"]
    assert (member.drain, member.gave_up_at, member.held_until) == (None, None, None)


def test_what_a_pause_refuses_names_the_command_that_ends_that_pause() -> None:
    switchover = SwitchoverRequested("db", None, "ann")
    (of_system,) = refusals(BOTH, switchover, NOW)
    (of_service,) = refusals(held(system=None, service=REPAIR), switchover, NOW)
    assert of_system.endswith("`holdfast resume` ends the pause")
    assert of_service.endswith("`holdfast resume db` ends the pause")
