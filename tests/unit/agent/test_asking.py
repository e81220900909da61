# ruff: noqa: ARG002 - a method of a port takes what the port says

from holdfast.agent.asking import Asking
from holdfast.agent.reloading import policy_changed
from holdfast.agent.turning import Turned
from holdfast.model.events import Event, Exit, Probed, ProcessExited, Ticked
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import Policy, ProbePolicy
from holdfast.model.state import State
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from holdfast.ports.probing import Report
from tests.unit.agent.rehearsal import play, policy, running


class NotedProbes:
    """What the engine was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def watch(self, report: Report) -> None: ...

    def set(self, component: ComponentId, incarnation: Incarnation, probes: tuple[ProbePolicy, ...]) -> None:
        self.told.append(("set", component, incarnation))

    def clear(self, component: ComponentId) -> None:
        self.told.append(("clear", component))

    def hurry(self, component: ComponentId, probe: str, *, is_suspect: bool) -> None:
        self.told.append(("hurry", component, probe, is_suspect))

    async def close(self) -> None: ...


def answer(component: str, incarnation: str, outcome: Outcome, at: int) -> Probed:
    seen = Observation(outcome, Layer.CONNECT, Failure.NONE, 1, at)
    return Probed(component, "alive", incarnation, seen)


def follow(asking: Asking, before: State, event: Event, at: int) -> State:
    after = play(before, event, at=at)
    asking(Turned(at, event, (), before, after))
    return after


def begin() -> tuple[NotedProbes, Asking, State]:
    probes = NotedProbes()
    asking = Asking(probes)
    state = running(policy())
    asking(Turned(1, Ticked(), (), State(policy=Policy("rehearsal", {})), state))
    return probes, asking, state


def test_new_life_is_asked_and_often_until_it_has_answered() -> None:
    probes, asking, state = begin()
    assert probes.told == [
        ("set", "web/web-1", "100:1"),
        ("hurry", "web/web-1", "alive", True),
        ("set", "web/web-2", "101:1"),
        ("hurry", "web/web-2", "alive", True),
    ]
    probes.told.clear()
    follow(asking, state, answer("web/web-1", "100:1", Outcome.PASSED, 2 * SECOND), 2 * SECOND)
    assert probes.told == [("hurry", "web/web-1", "alive", False)]


def test_doubt_is_asked_about_often_until_it_is_settled() -> None:
    probes, asking, state = begin()
    state = follow(asking, state, answer("web/web-1", "100:1", Outcome.PASSED, 2 * SECOND), 2 * SECOND)
    probes.told.clear()
    state = follow(asking, state, answer("web/web-1", "100:1", Outcome.FAILED, 3 * SECOND), 3 * SECOND)
    assert probes.told == [("hurry", "web/web-1", "alive", True)]
    follow(asking, state, answer("web/web-1", "100:1", Outcome.PASSED, 4 * SECOND), 4 * SECOND)
    assert probes.told[1:] == [("hurry", "web/web-1", "alive", False)]


def test_dead_process_is_not_asked() -> None:
    probes, asking, state = begin()
    probes.told.clear()
    follow(asking, state, ProcessExited("web/web-1", "100:1", Exit(signal="KILL")), 2 * SECOND)
    assert probes.told == [("clear", "web/web-1")]


def test_reload_sets_only_the_probes_that_changed() -> None:
    probes, asking, state = begin()
    probes.told.clear()
    old = policy()
    first, second = old.services["web"].members
    faster = replace(first, probes=(replace(first.probes[0], every=SECOND // 2),))
    service = replace(old.services["web"], members=(faster, second))
    changed = replace(old, services={"web": service})
    state = follow(asking, state, policy_changed(changed), 2 * SECOND)
    assert [told for told in probes.told if told[0] == "set"] == [("set", "web/web-1", "100:1")]


def test_member_that_left_the_file_is_not_asked() -> None:
    probes, asking, state = begin()
    probes.told.clear()
    follow(asking, state, policy_changed(policy(members=1)), 2 * SECOND)
    assert ("clear", "web/web-2") in probes.told
