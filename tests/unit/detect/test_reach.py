"""A host is lost only when nothing else explains its silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.detect.reach import (
    GRACE,
    PROBATION_BEATS,
    Peer,
    Reach,
    excuse,
    hear,
    next_change,
    reach_of,
)
from holdfast.model.beats import Beat, Heard
from holdfast.model.cluster import HostReport
from holdfast.model.time import MILLISECOND, MINUTE, SECOND, Instant
from holdfast.model.value import replace
from tests.unit.detect import hearing
from tests.unit.detect.hearing import EVERY, ME, World, episodes, watch

START: Instant = 100 * SECOND
LOST_AFTER = 527 * MILLISECOND  # of silence, with a beat each 100 ms on a calm network
HEARD, SUSPECT, LOST, UNKNOWN = Reach.HEARD, Reach.SUSPECT, Reach.LOST, Reach.UNKNOWN

Peers = dict[str, Peer]


def beating(peers: Peers, hosts: str, beats: int, start: Instant = START, **changes: object) -> Peers:
    """Return the peers after so many beats of each host, one each 100 ms; the last came at `end(beats, start)`."""
    for number in range(beats):
        for host in hosts:
            peer = peers.get(host) or Peer(host)
            beat = replace(Beat(host, f"{host}-1", peer.sequence + 1), **changes)
            peers = {**peers, host: hear(peer, beat, start + number * EVERY, EVERY)}
    return peers


def end(beats: int, start: Instant = START) -> Instant:
    return start + (beats - 1) * EVERY


def seen(peers: Peers, now: Instant, hosts: str = "abcd", late: int = 0) -> dict[str, Reach]:
    return reach_of(peers, [host for host in hosts if host in peers], ME, now, EVERY, late)


def test_who_was_never_heard_is_unknown_and_we_hear_ourselves() -> None:
    assert reach_of({"a": Peer("a")}, ["a", "b", ME], ME, START, EVERY, 0) == {
        "a": UNKNOWN,
        "b": UNKNOWN,
        ME: HEARD,
    }


def test_a_host_that_falls_silent_is_suspect_and_then_lost() -> None:
    peers = beating({}, "a", 50)
    last = end(50)
    assert seen(peers, last + 300 * MILLISECOND)["a"] is HEARD
    assert seen(peers, last + 400 * MILLISECOND)["a"] is SUSPECT
    assert seen(peers, last + LOST_AFTER - MILLISECOND)["a"] is SUSPECT
    assert seen(peers, last + LOST_AFTER)["a"] is LOST


def test_a_beat_that_is_older_or_repeated_changes_nothing() -> None:
    peer = beating({}, "a", 5)["a"]
    for sequence in range(1, 6):
        assert hear(peer, Beat("a", "a-1", sequence, is_connected=False), START + SECOND, EVERY) is peer


def test_a_new_life_starts_its_own_sequence_and_its_own_report() -> None:
    report = HostReport("a-1")
    peer = hear(beating({}, "a", 5)["a"], Beat("a", "a-1", 6, report_number=3, report=report), end(6), EVERY)
    assert (peer.report, peer.report_number) == (report, 3)
    kept = hear(peer, Beat("a", "a-1", 7, report_number=4), end(7), EVERY)
    assert (kept.report, kept.report_number) == (report, 3)  # the newest that came, not the newest there is
    anew = hear(kept, Beat("a", "a-2", 1), end(8), EVERY)
    assert (anew.life, anew.sequence, anew.report, anew.report_number) == ("a-2", 1, None, 0)


def test_an_agent_that_was_restarted_quickly_was_never_lost() -> None:
    peers = beating({}, "a", 50)
    peer = hear(peers["a"], Beat("a", "a-2", 1), end(50) + 3 * EVERY, EVERY)
    assert seen({"a": peer}, peer.heard_at)["a"] is HEARD


def test_who_was_lost_is_heard_again_only_after_some_beats_in_a_row() -> None:
    peers = beating({}, "a", 50)
    back = end(50) + 5 * SECOND
    for number in range(PROBATION_BEATS + 1):
        at = back + number * EVERY
        peers = beating(peers, "a", 1, at)
        assert seen(peers, at)["a"] is (HEARD if number == PROBATION_BEATS else SUSPECT)


@pytest.mark.parametrize("life", ["a-1", "a-2"])
def test_on_probation_a_gap_counts_and_a_new_life_is_no_way_out(life: str) -> None:
    peers = beating({}, "a", 50)
    back = end(50) + 5 * SECOND
    peers = beating(peers, "a", PROBATION_BEATS, back, life=life)
    peers = beating(peers, "a", 1, end(PROBATION_BEATS, back) + 3 * EVERY, life=life)
    assert seen(peers, peers["a"].heard_at)["a"] is SUSPECT
    assert peers["a"].probation == PROBATION_BEATS


def test_who_keeps_a_slow_pace_owes_nothing_after_beats_that_came_early() -> None:
    every, at, peer = SECOND, START, Peer("a")
    for number in range(40):  # something to tell, again and again
        peer = hear(peer, Beat("a", "a-1", number + 1), at, every)
        at += 50 * MILLISECOND
    for number in range(40, 43):
        at += every
        assert reach_of({"a": peer}, ["a"], ME, at, every, 0)["a"] is HEARD
        peer = hear(peer, Beat("a", "a-1", number + 1), at, every)
        assert not peer.probation
    assert hear(peer, Beat("a", "a-1", 50), at + 20 * every, every).probation == PROBATION_BEATS


def test_a_host_that_another_one_hears_is_not_lost_to_us() -> None:
    peers = beating({}, "ab", 50)
    for number in range(100):
        at = end(51) + number * EVERY
        peers = beating(peers, "b", 1, at, heard={"a": Heard("a-1", 100 + number, EVERY // 2)})
        assert seen(peers, at)["a"] in (HEARD, SUSPECT)
    assert seen(peers, end(150))["a"] is SUSPECT


def test_a_host_that_nobody_hears_is_lost_as_soon_as_without_a_witness() -> None:
    peers = beating({}, "ab", 50)
    last = end(50)
    for number in range(1, 6):
        at = last + number * EVERY
        peers = beating(peers, "b", 1, at, heard={"a": Heard("a-1", 50, at - last)})
    assert seen(peers, last + LOST_AFTER - MILLISECOND) == {"a": SUSPECT, "b": HEARD}
    assert seen(peers, last + LOST_AFTER) == {"a": LOST, "b": HEARD}


def test_a_witness_that_died_with_the_host_saves_nobody() -> None:
    peers = beating({}, "abcd", 50)
    peers = beating(peers, "b", 1, end(51), heard={"a": Heard("a-1", 50, EVERY)})
    peers = beating(peers, "cd", 30, end(51))
    assert seen(peers, end(80)) == {"a": LOST, "b": LOST, "c": HEARD, "d": HEARD}


def test_our_own_lateness_extends_every_expectation() -> None:
    peers = beating({}, "a", 50)
    now = end(50) + SECOND
    assert seen(peers, now)["a"] is LOST
    assert seen(peers, now, late=SECOND)["a"] is HEARD
    excused = excuse(peers, 900 * MILLISECOND, now)
    assert seen(excused, now)["a"] is HEARD
    assert seen(excused, now + 300 * MILLISECOND)["a"] is SUSPECT  # it outlasts the tick that was late
    assert seen(excused, now + 500 * MILLISECOND)["a"] is LOST
    again = beating(excused, "a", 1, now)
    assert seen(again, now)["a"] is HEARD  # nobody has to prove itself because we were away
    assert seen(again, now + LOST_AFTER)["a"] is LOST


@pytest.mark.parametrize(("hosts", "silent"), [("ab", "ab"), ("abc", "ab"), ("abcd", "abc")])
def test_when_most_fall_silent_at_once_we_doubt_ourselves(hosts: str, silent: str) -> None:
    peers = beating({}, hosts, 50)
    rest = "".join(host for host in hosts if host not in silent)
    peers = beating(peers, rest, 30, end(51))
    last = end(50)
    for after, how in [
        (LOST_AFTER, SUSPECT),
        (LOST_AFTER + GRACE - MILLISECOND, SUSPECT),
        (LOST_AFTER + GRACE, LOST),
    ]:
        expected = dict.fromkeys(silent, how) | dict.fromkeys(rest, HEARD)
        assert seen(peers, last + after, hosts) == expected


@pytest.mark.parametrize(("hosts", "silent"), [("a", "a"), ("ab", "a"), ("abcd", "ab")])
def test_when_few_fall_silent_they_are_to_blame(hosts: str, silent: str) -> None:
    peers = beating({}, hosts, 50)
    peers = beating(peers, "".join(host for host in hosts if host not in silent), 6, end(51))
    assert all(seen(peers, end(50) + LOST_AFTER, hosts)[host] is LOST for host in silent)


def test_hosts_that_fell_silent_one_after_the_other_get_no_grace() -> None:
    peers = beating({}, "ab", 50)
    peers = beating(peers, "b", 10, end(51))
    assert seen(peers, end(60) + LOST_AFTER, "ab") == {"a": LOST, "b": LOST}


def test_the_last_ones_left_are_most_of_those_that_were_left() -> None:
    peers = beating({}, "abcd", 50)
    peers = beating(peers, "cd", 100, end(51))
    assert seen(peers, end(150) + LOST_AFTER) == {"a": LOST, "b": LOST, "c": SUSPECT, "d": SUSPECT}


def test_a_slower_pace_is_known_from_the_file_before_it_is_measured() -> None:
    peers = {"a": hear(Peer("a"), Beat("a", "a-1", 1), START, SECOND)}
    assert reach_of(peers, "a", ME, START + 2 * SECOND, SECOND, 0) == {"a": HEARD}
    peers = {"a": hear(peers["a"], Beat("a", "a-1", 2), START + SECOND, SECOND)}
    assert reach_of(peers, "a", ME, START + SECOND, SECOND, 0) == {"a": HEARD}


# --- any history --------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(0, 700 * MILLISECOND),
        st.one_of(st.none(), st.tuples(st.sampled_from("abcd"), st.integers(0, 2 * SECOND))),
    ),
    max_size=40,
)


@given(steps, st.integers(0, 3 * SECOND), st.integers(0, 500 * MILLISECOND), st.data())
def test_nothing_changes_before_the_instant_that_was_foretold(
    history: list[tuple[str, int, tuple[str, int] | None]], wait: int, late: int, data: st.DataObject
) -> None:
    peers, now = {"a": Peer("a")}, START
    for number, (host, passed, witness) in enumerate(history):
        now += passed
        heard = {witness[0]: Heard("x", 1, witness[1])} if witness else {}
        peers[host] = hear(peers.get(host) or Peer(host), Beat(host, "x", number + 1, heard), now, EVERY)
    now += wait
    before = reach_of(peers, "abcd", ME, now, EVERY, late)
    change = next_change(peers, "abcd", ME, now, EVERY, late)
    assert change is None or change > now
    last = now + MINUTE if change is None else change - 1
    then = data.draw(st.integers(now, last))
    assert reach_of(peers, "abcd", ME, then, EVERY, late) == before
    assert reach_of(peers, "abcd", ME, last, EVERY, late) == before


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 4]))
def test_whoever_stays_silent_is_lost_in_the_end(seed: int, count: int) -> None:
    world = World(hosts=tuple("abcd"[:count]), delay=hearing.bursty, loss=0.1, crashes={"a": 3 * SECOND})
    assert list(watch(world, 8, seed))[-1].reach["a"] is LOST


DELAYS = [
    hearing.calm,
    hearing.normal,
    hearing.exponential,
    hearing.lognormal,
    hearing.pareto,
    hearing.bursty,
]
CIRCUMSTANCES = {
    "nothing else": World(),
    "one packet in twenty lost": World(loss=0.05),
    "we pause for 400 ms": World(pause=400 * MILLISECOND),
    "we pause for 2 s": World(pause=2 * SECOND),
    "senders pause for 300 ms": World(sender_pause=300 * MILLISECOND),
}


@pytest.mark.parametrize("hosts", ["a", "ab", "abcd"])
@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("circumstances", CIRCUMSTANCES.values(), ids=CIRCUMSTANCES)
def test_neither_jitter_nor_our_own_pauses_lose_a_host(
    circumstances: World, delay: hearing.Delay, hosts: str
) -> None:
    world = circumstances._replace(hosts=tuple(hosts), delay=delay)
    answers = list(watch(world, 60, seed=11))
    assert not [at for host in hosts for at in episodes(iter(answers), host, LOST)]


@pytest.mark.parametrize("hosts", ["a", "ab", "abcd"])
@pytest.mark.parametrize("seed", range(10))
def test_a_crashed_host_is_lost_within_six_tenths_of_a_second(hosts: str, seed: int) -> None:
    crash = 20 * SECOND + seed * 9 * MILLISECOND
    world = World(hosts=tuple(hosts), delay=hearing.calm, crashes={"a": crash})
    (lost_at,) = episodes(watch(world, 22, seed), "a", LOST)
    assert lost_at - crash < 550 * MILLISECOND


@pytest.mark.parametrize("seed", range(5))
def test_a_host_to_which_only_our_own_way_is_cut_is_never_lost(seed: int) -> None:
    world = World(
        hosts=("a", "b"),
        delay=hearing.normal,
        crashes={"a": 5 * SECOND},
        cut=frozenset("a"),
    )
    answers = list(watch(world, 60, seed))
    assert not episodes(iter(answers), "a", LOST)
    assert answers[-1].reach == {"a": SUSPECT, "b": HEARD}
