"""Operators ask the simulator about their own file."""

from holdfast.model.incidents import Stage
from holdfast.model.time import MINUTE, SECOND
from holdfast.sim import Fault, FaultKind, search, what_if
from holdfast.sim.policies import systems


def test_what_if_tells_the_fault_what_was_done_and_the_recovery() -> None:
    policy = systems()["pair"]["base"]
    answer = what_if(policy, (Fault(FaultKind.CRASH, 5 * SECOND, "pair/a"),), 20 * SECOND)
    told = "\n".join(answer.lines)
    assert "!! crash pair/a" in told
    assert "-> promote pair/b epoch 2" in told
    assert answer.health == 1.0
    assert answer.health_min == 0.5
    (incident,) = answer.incidents
    assert not incident.is_open
    assert incident.timeline[-1].stage is Stage.RECOVERED


def test_what_if_is_the_same_each_time_with_and_without_chance() -> None:
    policy = systems()["chain"]["base"]
    faults = (Fault(FaultKind.HANG, 5 * SECOND, "db/a"),)
    for seed in (0, 7):
        assert what_if(policy, faults, MINUTE, seed) == what_if(policy, faults, MINUTE, seed)


def test_a_search_of_a_sound_file_finds_nothing() -> None:
    assert search(systems()["spread"]["base"], 30).failed == ()
