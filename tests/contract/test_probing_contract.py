"""The contract of `ports.probing`: when questions are asked, about whom, and what is never reported."""

import asyncio
import random
import socket
import time
from pathlib import Path

import pytest

from holdfast.model.observation import Observation, Outcome
from holdfast.model.policy import Check
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.probing import ProbeEngine
from tests.contract.probing_targets import (
    NEVER,
    PATIENCE,
    Ear,
    Serve,
    answering,
    ask,
    http,
    listener,
    probe,
    probing,
    program,
    refused_port,
    resetting,
    server,
    silent,
    tcp,
)

SOON = 20 * MILLISECOND
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_each_probe_that_was_set_is_asked_at_once_whatever_its_interval() -> None:
    with listener() as (_, port):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        answers = ask(probe(tcp(port), every=NEVER), probe(program("true"), "program", every=NEVER))
        assert answers[0].outcome is Outcome.PASSED
        assert answers[0].at - before < 5 * SECOND


def test_a_probe_is_asked_about_every_interval() -> None:
    with listener() as (_, port):
        answers = ask(probe(tcp(port), every=100 * MILLISECOND), times=12)[2:]
    mean = (answers[-1].at - answers[0].at) / (len(answers) - 1)
    assert 80 * MILLISECOND < mean < 500 * MILLISECOND


def test_probes_set_together_drift_apart_over_the_interval() -> None:
    async def main() -> list[list[int]]:
        async with probing() as (engine, ear):
            for number in range(20):
                engine.set(f"orders/{number}", "1:1", (probe(tcp(port), str(number), every=SECOND),))
            await ear.until(
                lambda: len({name for _, name, _, _ in ear.heard if len(ear.of(name)) >= 4}) == 20
            )
            return [[ear.of(str(number))[turn].at for number in range(20)] for turn in range(1, 4)]

    with listener() as (_, port):
        turns = asyncio.run(main())
    # A machine that stands still for a second asks all of one turn at once afterwards.
    assert max(max(answers) - min(answers) for answers in turns) > 300 * MILLISECOND


def test_a_failed_answer_is_asked_again_quickly_without_anybody_telling() -> None:
    answers = ask(probe(tcp(refused_port()), every=NEVER, every_suspect=SOON, fall=3), times=10)
    assert all(answer.outcome is Outcome.FAILED for answer in answers)


def test_the_engines_own_hurry_ends_after_three_times_fall_questions() -> None:
    async def main() -> int:
        async with probing() as (engine, ear):
            down = probe(tcp(refused_port()), "down", every=NEVER, every_suspect=SOON, fall=2)
            engine.set("orders/a", "1:1", (down, probe(tcp(port), "clock", every=SOON, every_suspect=SOON)))
            await ear.count(40, "clock")
            return len(ear.of("down"))

    with listener() as (_, port):
        assert asyncio.run(main()) == 1 + 3 * 2


def test_a_suspect_is_asked_quickly_until_it_is_none_any_more() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            clock = probe(tcp(port), "clock", every=SOON, every_suspect=SOON)
            engine.set("orders/a", "1:1", (probe(tcp(port), every=NEVER, every_suspect=SOON), clock))
            await ear.count(1)
            engine.hurry("orders/a", "check", is_suspect=True)
            asked = len(await ear.count(5))
            engine.hurry("orders/a", "check", is_suspect=False)
            ticks = len(ear.of("clock"))
            await ear.count(ticks + 20, "clock")
            # The question that was planned already is still asked, and the spread from the start is not yet over.
            assert len(ear.of("check")) <= asked + 1

    with listener() as (_, port):
        asyncio.run(main())


def test_nothing_is_reported_after_clear() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            engine.set("orders/b", "1:1", (probe(tcp(port), "clock", every=SOON, every_suspect=SOON),))
            engine.set("orders/a", "1:1", (probe(tcp(port), every=SOON, every_suspect=SOON),))
            await ear.count(2)
            engine.clear("orders/a")
            heard = len(ear.of("check"))
            await ear.count(len(ear.of("clock")) + 10, "clock")
            assert len(ear.of("check")) == heard

    with listener() as (_, port):
        asyncio.run(main())


def test_a_former_life_is_never_reported_after_set() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            slow, late = (
                probe(tcp(port, expect="x"), timeout=100 * MILLISECOND),
                probe(program("sleep", "1"), "late"),
            )
            engine.set("orders/a", "1:1", (slow, late))
            await ear.count(1)  # the next one is on its way when the new life begins
            engine.set("orders/a", "2:2", (slow, late))
            begun = len(ear.heard)
            await ear.until(lambda: len(ear.of("late")) >= 1 and len(ear.heard) > begun + 5)
            assert {incarnation for _, _, incarnation, _ in ear.heard[begun:]} == {"2:2"}

    with server(silent) as port:
        asyncio.run(main())


def test_who_is_told_may_replace_and_clear_what_is_asked() -> None:
    async def main() -> None:
        async with probing() as (engine, ear):
            policies = tuple(probe(tcp(port), str(number), every=SOON) for number in range(20))

            def meddle(component: str, name: str, incarnation: str, observation: object) -> None:
                if incarnation == "1:1":
                    engine.set("orders/a", "2:2", policies)
                    engine.clear("orders/b")
                ear(component, name, incarnation, observation)  # type: ignore[arg-type]

            engine.watch(meddle)
            engine.set("orders/b", "9:9", policies)
            engine.set("orders/a", "1:1", policies)
            await ear.until(lambda: all(len(ear.of(str(number))) >= 2 for number in range(20)))
            assert [heard[2] for heard in ear.heard].count("1:1") == 1

    with listener() as (_, port):
        asyncio.run(main())


def ask_and_be_busy(then: Serve) -> Observation:
    """Return the answer to a question after which this very loop was busy for longer than the timeout."""

    async def main() -> Observation:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()

        def serve(connection: socket.socket) -> None:
            connection.recv(1, socket.MSG_PEEK)
            loop.call_soon_threadsafe(asked.set)
            then(connection)

        with server(serve) as port:
            async with probing() as (engine, ear):
                policy = probe(http(port), every=NEVER, every_suspect=NEVER, timeout=400 * MILLISECOND)
                engine.set("orders/a", "1:1", (policy,))
                async with asyncio.timeout(PATIENCE):
                    await asked.wait()
                time.sleep(0.8)  # noqa: ASYNC251 - on purpose: the agent computes
                return (await ear.count(1))[0]

    return asyncio.run(main())


def test_an_answer_that_waited_while_we_were_busy_counts() -> None:
    assert ask_and_be_busy(answering(OK)).outcome is Outcome.PASSED


def test_silence_is_unknown_when_we_were_late_ourselves() -> None:
    answer = ask_and_be_busy(silent)
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.detail == "asked too late: this host was busy"


def test_a_connection_that_fell_while_we_were_busy_is_unknown() -> None:
    def reset_meanwhile(connection: socket.socket) -> None:
        time.sleep(0.2)
        resetting(connection)

    assert ask_and_be_busy(reset_meanwhile).outcome is Outcome.UNKNOWN


def test_silence_is_failed_when_we_were_in_time() -> None:
    with server(silent) as port:
        patient = probe(http(port), every=SOON, every_suspect=SOON, timeout=500 * MILLISECOND)
        answers = ask(patient, times=5)
    # On a machine that stands still we were late ourselves now and then, and say so.
    assert Outcome.FAILED in {answer.outcome for answer in answers}
    assert Outcome.PASSED not in {answer.outcome for answer in answers}


@pytest.mark.parametrize("wait_for_answers", [False, True])
def test_close_leaves_nothing_open_and_nothing_running(wait_for_answers: bool) -> None:
    async def main() -> None:
        await asyncio.sleep(0)
        before = open_descriptors()
        engine, ear = ProbeEngine(random.Random(1)), Ear()
        engine.watch(ear)
        checks: list[Check] = [
            tcp(port),
            tcp(refused_port()),
            http(port),
            tcp(port, send="hello", expect="?"),
            program("sleep", "9"),
        ]
        policies = [probe(check, str(number), every=SOON) for number, check in enumerate(checks)]
        engine.set("orders/a", "1:1", tuple(policies))
        if wait_for_answers:
            await ear.until(lambda: all(len(ear.of(str(number))) >= 3 for number in range(3)))
        await engine.close()
        await engine.close()  # once more does no harm
        heard = len(ear.heard)
        async with asyncio.timeout(PATIENCE):  # the server lets go of its ends in this very process
            while open_descriptors() != before:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.02)
        assert len(ear.heard) == heard

    with server(answering(OK)) as port:
        asyncio.run(main())


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
