"""Mutants: bugs planted into the core on purpose. A simulator that misses one of them is not looking.

Each replaces one function where it is used by a version with the bug. They are the bugs that people in this
trade really wrote: believing old news, counting on one's memory, forgetting a deadline.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from holdfast.detect import health
from holdfast.failover import candidates, cutting, leaving, placing, reading, roles, routing
from holdfast.loop import (
    chronicle,
    commit,
    housekeeping,
    noting,
    observe_finished,
    observe_process,
    observe_traffic,
    reconcile,
    scoping,
)
from holdfast.model import duty
from holdfast.model.decisions import Promote, Start
from holdfast.model.standing import Role
from holdfast.model.state import ProcessAbsent
from holdfast.model.value import replace
from holdfast.model.wishes import NOTHING, Wishes, wish, withhold
from holdfast.recover import recovering, starting, stopping

Patch = tuple[object, str, Any]


class Mutant(NamedTuple):
    """One planted bug."""

    name: str
    patches: tuple[Patch, ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        kept = [(place, name, getattr(place, name)) for place, name, _ in self.patches]
        try:
            for place, name, planted in self.patches:
                setattr(place, name, planted)
            yield
        finally:
            for place, name, old in kept:
                setattr(place, name, old)


def nobody(*_: object) -> tuple[()]:
    return ()


def _never_says(*_: object, **__: object) -> str:
    return ""


def _nobody_heard(*_: object) -> None:
    return None


def _epoch_kept(original: Callable[..., Wishes]) -> Callable[..., Wishes]:
    def promote_under_the_old_epoch(*arguments: Any) -> Wishes:
        wishes = original(*arguments)
        decisions = tuple(
            replace(d, epoch=max(d.epoch - 1, 1)) if isinstance(d, Promote) else d for d in wishes.decisions
        )
        return replace(wishes, decisions=decisions)

    return promote_under_the_old_epoch


def _promote_first(state: Any, primary: Any, why: str, now: int) -> Wishes:
    # The new one is promoted beside the old one, which is asked to step down later.
    target = roles._target(state, primary.id.partition("/")[0], now, but=primary.id, in_need=False)
    if target is None:
        return NOTHING
    return wish(Promote(target.id, state.services[primary.id.partition("/")[0]].epoch + 1, why))


def _role_from_memory(state: Any, component: Any, seen: Any, now: int) -> Any:
    return component


def _survey_believed(original: Callable[..., Any]) -> Callable[..., Any]:
    def survey_one(state: Any, component: Any, seen: Any, taken_at: int, now: int) -> Any:
        return original(state, replace(component, flight=None), seen, now, now)

    return survey_one


def _any_exit_believed(state: Any, event: Any, now: int) -> Any:
    component = state.components.get(event.component)
    if component is None or isinstance(component.process, ProcessAbsent):
        return state
    return state.with_component(
        observe_process.gone(component, event.incarnation, event.exit, now, is_ours=False)
    )


def _any_finished_believed(original: Callable[..., Any]) -> Callable[..., Any]:
    def finished(state: Any, event: Any, now: int) -> Any:
        if event.decision not in state.flights:
            for id_, component in state.components.items():
                if component.flight is not None:
                    state = replace(state, flights={**state.flights, event.decision: id_})
                    break
        return original(state, event, now)

    return finished


def _start_at_once(state: Any, policy: Any, component: Any, process: Any, now: int) -> Wishes:
    return wish(starting._start(state, policy, component, component.attempts + 1, "it does not run"))


def _given_up_for_good(original: Callable[..., Wishes]) -> Callable[..., Wishes]:
    def restart(state: Any, policy: Any, component: Any, process: Any, now: int) -> Wishes:
        if component.gave_up_at is not None:
            return withhold(component.id, "start", "budget_spent", "it failed too often")
        return original(state, policy, component, process, now)

    return restart


def _commit_paused(original: Callable[..., Any]) -> Callable[..., Any]:
    def pause_of(*_: object) -> None:
        return None

    return pause_of


def _unheld(original: Callable[..., Any]) -> Callable[..., Any]:
    def flapped(rules: Any, component: Any, now: int) -> Any:
        after = original(rules, component, now)
        return replace(after, held_until=1 << 61) if after.held_until else after

    return flapped


def _failed_stop_is_an_end(component: Any, event: Any, now: int) -> Any:
    last = getattr(component.process, "incarnation", None)
    return observe_process.gone(component, last, event.exit, now, is_ours=True)


def _failed_demote_is_done(component: Any, event: Any, now: int) -> Any:
    return replace(component, role=Role.STANDBY, role_since=now)


def _unknown_promote_is_failed(original: Callable[..., Any]) -> Callable[..., Any]:
    def promoted(component: Any, event: Any, now: int) -> Any:
        after = original(component, event, now)
        return replace(after, role=Role.STANDBY) if after.role is Role.PROMOTING else after

    return promoted


def _unready_ignored(original: Callable[..., Any]) -> Callable[..., Any]:
    def waits_for(*_: object) -> tuple[()]:
        return ()

    return waits_for


def _unchanged(state: Any, _now: int) -> Any:
    return state


def _nothing(*_: object) -> Wishes:
    return NOTHING


def _all_well(*_: object) -> float:
    return 1.0


def _never(*_: object) -> bool:
    return False


def _named_service_only(before: Any, state: Any, event: Any, now: int) -> tuple[str, ...]:
    named = scoping._named(before, event)
    return (
        tuple(state.policy.services) if named is None else (named,) if named in state.policy.services else ()
    )


def _lane_of_any_role(policy: Any, member: Any) -> bool:
    return True


def _start_anywhere(state: Any, policy: Any, now: int) -> Wishes:
    service = state.services[policy.name]
    if service.assigned is not None:
        return NOTHING
    first = state.members(policy.name)[0]
    return wish(Start(first.id, service.epoch + 1, 0, "first of the file"))


def _service_forgotten(state: Any, names: Any, now: int) -> Any:
    return replace(state, services={n: s for n, s in state.services.items() if n not in names})


MUTANTS = (
    Mutant(
        "singleton_started_without_proof",
        (
            (starting, "others_holding", nobody),
            (commit, "others_holding", nobody),
            (placing, "others_holding", nobody),
            (placing, "may_run", _never),
            (candidates, "unproven", nobody),
        ),
    ),
    Mutant("two_wishes_of_a_turn_both_taken", ((commit, "others_holding", nobody),)),
    Mutant(
        "promoted_before_demoted",
        ((leaving, "take_role", _promote_first), (commit, "others_holding", nobody)),
    ),
    Mutant(
        "survey_older_than_the_change_believed",
        ((observe_process, "_survey_one", _survey_believed(observe_process._survey_one)),),
    ),
    Mutant("exit_of_an_old_life_believed", ((observe_process, "exited", _any_exit_believed),)),
    Mutant(
        "finished_believed_when_not_in_flight",
        ((observe_finished, "finished", _any_finished_believed(observe_finished.finished)),),
    ),
    Mutant("epoch_not_raised", ((roles, "_fill", _epoch_kept(roles._fill)),)),
    Mutant("epoch_forgotten_with_its_service", ((housekeeping, "_retired", _service_forgotten),)),
    Mutant("budget_ignored", ((starting, "_restart", _start_at_once),)),
    Mutant("pause_ignored", ((commit, "pause_of", _commit_paused(duty.pause_of)),)),
    Mutant("deadline_forgotten", ((observe_finished, "expire", _unchanged),)),
    Mutant("withheld_start_never_woken", ((scoping, "concerned", _named_service_only),)),
    Mutant("hold_never_ends", ((noting, "_flapped", _unheld(noting._flapped)),)),
    Mutant("incident_never_closed", ((chronicle, "_is_calm", _never),)),
    Mutant("dependency_order_ignored", ((starting, "waits_for", _unready_ignored(duty.waits_for)),)),
    Mutant(
        "role_in_memory_believed_over_the_record", ((observe_process, "_with_seen_role", _role_from_memory),)
    ),
    Mutant("failed_stop_taken_for_an_end", ((observe_finished, "_stopped", _failed_stop_is_an_end),)),
    Mutant("failed_demote_taken_for_done", ((observe_finished, "_demoted", _failed_demote_is_done),)),
    Mutant(
        "unknown_promote_taken_for_failed",
        ((observe_finished, "_promoted", _unknown_promote_is_failed(observe_finished._promoted)),),
    ),
    Mutant("standby_reached_before_its_promotion", ((routing, "_may_be_reached", _lane_of_any_role),)),
    Mutant("stale_one_read_from", ((reading, "_why_stale", _never_says),)),
    Mutant("promoted_before_the_old_one_was_cut", ((cutting, "uncut", nobody),)),
    Mutant("silent_balancer_overlooked", ((observe_traffic, "_silence", _nobody_heard),)),
    Mutant("drift_overlooked", ((observe_traffic, "has_drifted", _never),)),
    Mutant(
        "strays_overlooked",
        (
            (recovering, "recover_orphans", _nothing),
            (reconcile, "recover_orphans", _nothing),
        ),
    ),
    Mutant("hung_one_left_alone", ((stopping, "_end_failing", _nothing),)),
    Mutant(
        "health_of_the_first_member_only",
        (
            (health, "service_health", _all_well),
            (health, "system_health", _all_well),
        ),
    ),
    Mutant(
        "what_was_given_up_is_never_tried_again",
        ((starting, "_restart", _given_up_for_good(starting._restart)),),
    ),
)
