"""Bugs that people in this trade write between several hosts, to be planted one at a time: a rule that no mutant breaks proves nothing."""

from collections.abc import Callable
from typing import Any

from holdfast.loop import observe_cluster
from holdfast.loop.cluster import leasing, promising, turn, whereabouts
from holdfast.model.cluster_events import GiveLease
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from holdfast.sim.cluster import keeping
from holdfast.sim.cluster.arming import Arming
from holdfast.sim.cluster.guard import Guard
from holdfast.sim.cluster.keeping import KeepingSession
from holdfast.sim.cluster.store import Store
from tests.sim.mutants import Mutant

FAR = 1 << 61


def _from_the_answer(self: KeepingSession, sent_at: int) -> int:
    return self._clock.now


def _well(*_: object) -> str:
    return ""


def _nothing(*_: object) -> None:
    return None


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


def _extended_by_itself(original: Callable[..., None]) -> Callable[..., None]:
    def look(self: Guard, component: str) -> None:
        deadline = self.deadlines.get(component)
        if deadline is not None and self._clock.now >= deadline:
            self.deadlines[component] = deadline + SECOND  # "it will be renewed in a moment"
            self._wait(component)
            return
        original(self, component)

    return look


def _from_receipt(original: Callable[..., Any]) -> Callable[..., Any]:
    def accepted(state: Any, beat: Any) -> Any:
        peer = state.peers[beat.host]
        late = {number: replace(sent, at=peer.heard_at) for number, sent in state.sent.items()}
        return replace(original(replace(state, sent=late), beat), sent=state.sent)

    return accepted


def _by_majority(state: Any, service: str, held: Any) -> int:
    policy = state.policy.services.get(service)
    if policy is None or not promising.holds_on(state, service):
        return int(held.until)
    needed = [host for host in whereabouts.eligible_hosts(state, policy) if host != state.me]
    untils = sorted((held.promised.get(host, 0) for host in needed), reverse=True)
    return max(int(held.until), untils[len(untils) // 2 - (len(untils) % 2 == 0)] if untils else 0)


def _word_of_this_life_only(state: Any, service: str, now: int) -> Any:
    given = state.promises.get(service)
    return ("promised", given.until) if given is not None and now < given.until else None


def _given_before_it_is_clear(original: Callable[..., Any]) -> Callable[..., Any]:
    def keep(state: Any, name: str, held: Any) -> Any:
        if held.is_ending:
            return GiveLease(name, held.epoch, "it is being stopped")
        return original(state, name, held)

    return keep


def _a_second_longer(original: Callable[..., int]) -> Callable[..., int]:
    def sure_until(state: Any, service: str, held: Any) -> int:
        return original(state, service, held) + SECOND

    return sure_until


def _whole(state: Any) -> int:
    return promising.promise_lasts(state)


def _permitted(self: Arming, component: str, epoch: int) -> tuple[str, int]:
    return "", FAR


def _old_epochs(lease: int) -> int:
    return 0


MUTANTS = (
    Mutant("lease_counted_from_the_answer", ((KeepingSession, "counts_from", _from_the_answer),)),
    Mutant("no_margin", ((keeping, "MARGIN", 0.0),)),
    Mutant("guard_missing", ((Guard, "arm", _well), (Guard, "extend", _well))),
    Mutant("guard_extended_by_a_timer", ((Guard, "_look", _extended_by_itself(Guard._look)),)),
    Mutant("epoch_ignored_when_adopting", ((Store, "why_not_adopt", _well),)),
    Mutant(
        "promise_counted_from_its_receipt",
        ((promising, "accepted", _from_receipt(promising.accepted)),),
    ),
    Mutant("promise_without_margin", ((promising, "_counts_for", _whole),)),
    Mutant(
        "promise_by_majority", ((promising, "sure_until", _by_majority), (turn, "sure_until", _by_majority))
    ),
    Mutant("promise_not_kept", ((promising, "why_bound", _nothing),)),
    Mutant("promise_of_the_last_life_forgotten", ((promising, "why_bound", _word_of_this_life_only),)),
    Mutant(
        "lease_given_before_its_member_is_clear",
        ((leasing, "_keep", _given_before_it_is_clear(leasing._keep)),),
    ),
    Mutant("word_of_a_deposed_leader_accepted", ((Store, "obeys", _always),)),
    Mutant("doubtful_take_never_asked_again", ((turn, "_asks_again", _never),)),
    Mutant(
        "lease_believed_a_second_longer",
        (
            (promising, "sure_until", _a_second_longer(promising.sure_until)),
            (turn, "sure_until", _a_second_longer(promising.sure_until)),
        ),
    ),
    Mutant("served_without_asking_again", ((Arming, "permit", _permitted),)),
    Mutant("epochs_outside_the_block_of_the_lease", ((observe_cluster, "first_epoch_of", _old_epochs),)),
    Mutant("fencing_not_awaited", ((leasing, "unproven", _nothing),)),
    Mutant("last_holder_not_waited_for", ((leasing, "waits_for_last", _nothing),)),
)
