"""The Traffic port's contract, held by HAProxy itself with real members and real clients."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.model.events import Ending
from holdfast.model.policy import Mode, Policy, Protocol, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.value import replace
from holdfast.traffic.haproxy import HaproxyTraffic
from tests.contract.traffic_stage import Stage, counted, failures, free_port, frozen, service, story, until

pytestmark = pytest.mark.e2e

IN, DRAIN, DOWN, OUT = Lane.IN, Lane.DRAIN, Lane.DOWN, Lane.OUT


@asynccontextmanager
async def stage(directory: Path, *services: ServicePolicy) -> AsyncIterator[Stage]:
    """Give a stage on which all runs and is up."""
    it = Stage(directory, *services)
    try:
        await it.start_members()
        result = await it.traffic.configure(it.policy)
        assert result.ending is Ending.DONE, result.error
        await it.start_haproxy()
        yield it
    finally:
        await it.close()


def web(protocol: Protocol = Protocol.HTTP) -> ServicePolicy:
    return service("web", Mode.ACTIVE_ACTIVE, {"w1": free_port(), "w2": free_port()}, protocol=protocol)


def db(protocol: Protocol = Protocol.HTTP, mode: Mode = Mode.ACTIVE_STANDBY) -> ServicePolicy:
    return service("db", mode, {"a": free_port(), "b": free_port()}, protocol=protocol)


# --- routing ------------------------------------------------------------------------------------------


@story
async def test_what_route_confirmed_is_what_look_shows(tmp_path: Path) -> None:
    async with stage(tmp_path, web(), db(), db_of("job", Mode.SINGLETON)) as it:
        for name, members in (("web", ("w1", "w2")), ("db", ("a", "b")), ("job", ("job1", "job2"))):
            is_exclusive = it.policy.services[name].is_exclusive
            for first in (IN, OUT, DRAIN, DOWN, IN, DRAIN, OUT, DOWN, OUT, IN):
                for active in (*members, None) if is_exclusive else (None,):
                    wanted = {members[0]: first, members[1]: IN}
                    await it.route(name, active, **wanted)
                    seen = await it.seen(name)
                    assert seen.active == active
                    assert {m: t.lane for m, t in seen.members.items()} == wanted


def db_of(name: str, mode: Mode) -> ServicePolicy:
    return service(name, mode, {f"{name}1": free_port(), f"{name}2": free_port()})


@story
async def test_active_active_spreads_over_all_that_are_in(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=IN, w2=IN)
        assert (await it.served_by("web")).keys() == {"w1", "w2"}
        for lane in (DRAIN, DOWN, OUT):
            await it.route("web", None, w1=lane, w2=IN)
            assert (await it.served_by("web")).keys() == {"w2"}
        await it.route("web", None, w1=IN, w2=IN)
        await it.until_up("web", "w1")
        assert (await it.served_by("web")).keys() == {"w1", "w2"}


@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_switching_the_active_member_under_load_loses_nothing(
    tmp_path: Path, protocol: Protocol
) -> None:
    async with stage(tmp_path, db(protocol)) as it:
        await it.route("db", "a", a=IN, b=IN)
        async with it.clients("db") as answered:
            for turn in range(20):
                active = "ba"[turn % 2]
                await it.route("db", active, a=IN, b=IN)
                await counted(answered, active, 5)
                assert await it.get("db") == active
        assert failures(answered, "a", "b") == {}


@story
async def test_failing_over_from_a_killed_active_member_under_load_loses_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await it.route("db", "b", a=IN, b=IN)
        async with it.clients("db") as answered:
            await counted(answered, "b", 50)
            it.kill("b")
            await it.route("db", "a", a=IN, b=DOWN)
            await counted(answered, "a", 50)
        assert failures(answered, "a", "b") == {}


@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_a_draining_active_member_keeps_its_session_and_gets_no_new_one(
    tmp_path: Path, protocol: Protocol
) -> None:
    async with stage(tmp_path, db(protocol)) as it:
        await it.route("db", "a", a=IN, b=IN)
        async with it.session("db") as session:
            await until_sessions(it, "db", "a", 1)
            await it.route("db", "a", a=DRAIN, b=IN)
            assert (await it.served_by("db")).keys() == {"b"}
            assert (await it.member("db", "a")).sessions == 1
            await it.route("db", "b", a=DRAIN, b=IN)
            assert not session.at_eof()
            assert (await it.member("db", "a")).sessions == 1


@pytest.mark.parametrize("lane", [DOWN, OUT])
@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_sessions_of_an_exclusive_member_that_must_not_serve_are_cut(
    tmp_path: Path, protocol: Protocol, lane: Lane
) -> None:
    async with stage(tmp_path, db(protocol)) as it:
        await it.route("db", "a", a=IN, b=IN)
        async with it.session("db") as session:
            await until_sessions(it, "db", "a", 1)
            await it.route("db", "b", a=lane, b=IN)
            await until_sessions(it, "db", "a", 0)
            if protocol is Protocol.HTTP:  # it is a GET: HAProxy asks the new one instead
                await until_sessions(it, "db", "b", 1)
            else:
                async with asyncio.timeout(10):
                    assert await session.read() == b""


@story
async def test_a_session_with_a_hung_member_whose_client_has_left_does_not_hold_the_next_one_up(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, db(Protocol.TCP)) as it:
        await it.route("db", "a", a=IN, b=IN)
        with frozen(it.members["a"].pid):
            async with it.session("db"):
                await until_sessions(it, "db", "a", 1)
            # HAProxy cuts no session of which one side is over already, so it must end by itself.
            await until_sessions(it, "db", "a", 0)
            await it.route("db", "b", a=OUT, b=IN)


@pytest.mark.parametrize("lane", [DOWN, OUT])
@story
async def test_sessions_that_a_drain_left_are_cut_when_it_ends(tmp_path: Path, lane: Lane) -> None:
    async with stage(tmp_path, db(Protocol.TCP)) as it:
        await it.route("db", "a", a=IN, b=IN)
        async with it.session("db") as session:
            await until_sessions(it, "db", "a", 1)
            await it.route("db", "b", a=DRAIN, b=IN)
            await it.route("db", "b", a=lane, b=IN)
            async with asyncio.timeout(10):
                assert await session.read() == b""
        await until_sessions(it, "db", "a", 0)


@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_taking_one_of_many_out_cuts_its_sessions(tmp_path: Path, protocol: Protocol) -> None:
    async with stage(tmp_path, web(protocol)) as it:
        await it.route("web", None, w1=IN, w2=OUT)
        async with it.session("web"):
            await until_sessions(it, "web", "w1", 1)
            await it.route("web", None, w1=OUT, w2=IN)
            await until_sessions(it, "web", "w1", 0)


@story
async def test_sessions_that_an_earlier_worker_still_has_are_counted_and_cut(tmp_path: Path) -> None:
    async with stage(tmp_path, db(Protocol.TCP)) as it:
        await it.route("db", "a", a=IN, b=IN)
        async with it.session("db") as session:
            await until_sessions(it, "db", "a", 1)
            it.policy = slower_checks(it.policy)
            assert (await it.traffic.configure(it.policy)).ending is Ending.DONE
            assert (await it.member("db", "a")).sessions == 1
            await it.route("db", "b", a=OUT, b=IN)
            async with asyncio.timeout(10):
                await session.read()
        await until_sessions(it, "db", "a", 0)


@story
async def test_of_a_singleton_nobody_but_the_active_member_is_ever_served(tmp_path: Path) -> None:
    async with stage(tmp_path, db(mode=Mode.SINGLETON)) as it:
        await it.route("db", "b", a=OUT, b=IN)
        it.kill("b")
        assert "a" not in await it.served_by("db")
        await it.traffic.release()
        assert (await it.lanes("db"))["a"] is OUT


@story
async def test_a_member_that_is_the_only_one_left_is_let_in_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path, web(), db()) as it:
        await it.route("web", None, w1=OUT, w2=OUT)
        assert not (await it.served_by("web", count=1)).keys() & {"w1", "w2"}
        await it.route("web", None, w1=IN, w2=OUT)
        assert await it.get("web") == "w1"
        await it.route("db", "a", a=IN, b=OUT)
        await it.route("db", "b", a=OUT, b=IN)
        assert await it.get("db") == "b"


@story
async def test_a_dead_member_that_comes_back_in_gets_no_request_before_a_check_passed(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=OUT, w2=IN)
        it.kill("w1")
        await it.route("web", None, w1=IN, w2=IN)
        seen = await it.member("web", "w1")
        assert (seen.lane, seen.is_up) == (IN, False)
        await it.start_member("web", "w1")
        await it.until_up("web", "w1")


@story
async def test_down_holds_while_holdfast_lives_though_haproxys_own_checks_pass(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=DOWN, w2=IN)
        rises = len(re.findall("web/w1 is UP", it.log()))
        async with it.clients("web", count=1) as answered:
            # 30 pushes that hold it down: three times as long as the checks need to raise it.
            await counted(answered, "", 600)
        assert answered.keys() == {"w2"}
        assert len(re.findall("web/w1 is UP", it.log())) == rises


@story
async def test_who_was_held_down_serves_on_once_it_is_named(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await it.route("db", "a", a=IN, b=DOWN)
        for active, other in (("b", "a"), ("a", "b")) * 2:
            await it.route("db", active, **{active: IN, other: DOWN})
            falls = len(re.findall(f"db/{active} is DOWN", it.log()))
            async with it.clients("db", count=1) as answered:
                await counted(answered, "", 100)  # some pushes long
            assert answered.keys() == {active}
            assert len(re.findall(f"db/{active} is DOWN", it.log())) == falls


@story
@pytest.mark.parametrize("name", ["web", "db"])
async def test_members_that_must_serve_though_all_are_doubted_are_held_up_against_haproxys_checks(
    tmp_path: Path, name: str
) -> None:
    async with stage(tmp_path, web(), db()) as it:
        members = [each.name for each in it.policy.services[name].members]
        for member in members:
            it.kill(member)
            await it.start_member(name, member, "unwell")  # it answers everything but its health check

        async def are_down() -> bool:
            return not any(each.is_up for each in (await it.seen(name)).members.values())

        await until(are_down, "HAProxy finds them all unwell")
        await it.route(name, members[0] if name == "db" else None, **dict.fromkeys(members, IN))
        async with it.clients(name, count=1) as answered:

            async def has_served_on() -> bool:
                await it.traffic.look()  # as the agent does, every second and when HAProxy tells of a change
                return sum(answered[member] for member in members) > 300

            await until(has_served_on, "they serve on")
        # HAProxy's checks may win a round between two pushes; without the pushes it is 503 for ever.
        assert sum(failures(answered, *members).values()) <= 0.2 * answered.total(), answered


# --- HAProxy alone ------------------------------------------------------------------------------------


@story
async def test_down_heals_by_itself_when_holdfast_dies(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=DOWN, w2=IN)
        await it.traffic.close()  # as abrupt as the end of the process: nothing is told to HAProxy
        it.traffic = HaproxyTraffic(tmp_path)
        await it.until_up("web", "w1")
        assert (await it.lanes("web"))["w1"] is IN


@pytest.mark.parametrize("protocol", Protocol)
@story
async def test_haproxy_alone_fails_over_to_the_standby(tmp_path: Path, protocol: Protocol) -> None:
    async with stage(tmp_path, db(protocol)) as it:
        await it.route("db", "b", a=IN, b=IN)
        await it.traffic.close()
        it.kill("b")
        assert await it.get("db") == "a"  # already before any check has failed
        it.traffic = HaproxyTraffic(tmp_path)
        await until(lambda: is_down(it, "db", "b"), "HAProxy sees that b is down")
        assert await it.get("db") == "a"
        assert (await it.seen("db")).active == "b"
        await it.start_member("db", "b")
        await it.until_up("db", "b")
        assert await it.get("db") == "b"


@story
async def test_haproxy_asks_what_the_members_own_probe_asks(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        it.kill("w1")
        await it.start_member("web", "w1", "unwell")  # it answers everything but its health check
        await until(lambda: is_down(it, "web", "w1"), "HAProxy sees that w1 is unwell")
        assert (await it.served_by("web")).keys() == {"w2"}


@story
async def test_after_release_haproxys_checks_bring_back_what_holdfast_had_taken_out(tmp_path: Path) -> None:
    async with stage(tmp_path, web(), db()) as it:
        await it.route("web", None, w1=OUT, w2=DRAIN)
        await it.route("db", "b", a=OUT, b=IN)
        it.kill("b")
        await it.traffic.release()
        await it.until_up("web", "w1", "w2")
        await it.until_up("db", "a")
        assert (await it.served_by("web")).keys() == {"w1", "w2"}
        assert await it.get("db") == "a"


@story
async def test_what_somebody_changes_by_hand_is_seen(tmp_path: Path) -> None:
    async with stage(tmp_path, web(), db()) as it:
        await it.route("web", None, w1=IN, w2=IN)
        await it.route("db", "a", a=IN, b=IN)
        await it.by_hand("set server web/w1 state maint", "set server web/w2 state drain")
        await it.by_hand("set map active.map db b")
        assert await it.lanes("web") == {"w1": OUT, "w2": DRAIN}
        assert (await it.seen("db")).active == "b"
        await it.route("web", None, w1=IN, w2=IN)
        await it.route("db", "a", a=IN, b=IN)
        assert await it.lanes("web") == {"w1": IN, "w2": IN}
        assert (await it.seen("db")).active == "a"


@story
async def test_what_somebody_deleted_is_put_back(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await it.route("db", "a", a=IN, b=IN)
        await it.by_hand("clear map active.map")
        assert (await it.seen("db")).active is None
        await it.route("db", "a", a=IN, b=IN)
        assert (await it.seen("db")).active == "a"
        it.stop_haproxy()
        for name in ("haproxy.cfg", "active.map", "servers.state"):
            (tmp_path / "haproxy" / name).unlink(missing_ok=True)
        assert await it.traffic.look() is None
        await it.start_haproxy()
        assert (await it.seen("db")).active == "a"


@story
async def test_haproxys_own_decisions_are_told_and_told_again_after_it_restarted(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.until_up("web", "w1", "w2")
        told = asyncio.Event()
        it.traffic.watch(told.set)
        await expect(told, "connected")
        it.kill("w1")
        await expect(told, "w1 is down")
        await until(lambda: is_down(it, "web", "w1"), "w1 is down")
        it.stop_haproxy()
        await expect(told, "HAProxy is gone")
        assert await it.traffic.look() is None
        await it.start_haproxy()
        await expect(told, "HAProxy is back")
        await it.until_up("web", "w2")
        told.clear()
        it.kill("w2")
        await expect(told, "w2 is down")


# --- HAProxy gone, frozen, restarted -------------------------------------------------------------------


@story
async def test_a_haproxy_that_is_gone_is_said_so(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=IN, w2=IN)
        it.stop_haproxy(signal.SIGKILL)
        assert await it.traffic.look() is None
        result = await it.traffic.route("web", Routing(None, {"w1": IN, "w2": OUT}))
        assert result.ending is Ending.FAILED
        assert f"HAProxy does not answer on {tmp_path}/haproxy/stats.sock" in result.error


@story
async def test_a_frozen_haproxy_does_not_hang_us(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        await it.traffic.close()
        it.traffic = HaproxyTraffic(tmp_path, answer_timeout=0.3)
        assert (await it.traffic.configure(it.policy)).ending is Ending.DONE
        worker = int((await it.by_hand("show info"))[0].partition("Pid: ")[2].split()[0])
        with frozen(worker):
            assert await it.traffic.look() is None
            result = await it.traffic.route("web", Routing(None, {"w1": OUT, "w2": IN}))
            assert result.ending is Ending.FAILED  # it was never told: it did not say how it stands
            assert "does not answer" in result.error
        await it.route("web", None, w1=OUT, w2=IN)
        assert await it.lanes("web") == {"w1": OUT, "w2": IN}


@story
async def test_a_restarted_haproxy_knows_the_active_member_and_learns_the_lanes_again(tmp_path: Path) -> None:
    async with stage(tmp_path, db()) as it:
        await it.route("db", "b", a=OUT, b=IN)
        it.stop_haproxy(signal.SIGKILL)
        await it.start_haproxy()
        assert (await it.seen("db")).active == "b"
        assert await it.get("db") == "b"
        assert (await it.lanes("db"))["a"] is IN  # a drift that look shows
        await it.route("db", "b", a=OUT, b=IN)
        assert await it.lanes("db") == {"a": OUT, "b": IN}


@story
async def test_haproxy_told_to_stop_ends_though_we_are_connected(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        told = asyncio.Event()
        it.traffic.watch(told.set)
        await expect(told, "connected")
        await it.route("web", None, w1=DOWN, w2=IN)  # every connection that we have is in use
        await until(it.is_settled, "the master process listens to signals")
        haproxy = it.haproxy
        assert haproxy is not None
        haproxy.send_signal(signal.SIGUSR1)

        async def has_ended() -> bool:
            await it.traffic.look()  # as the agent does, every second and when HAProxy tells of a change
            return haproxy.poll() is not None

        await until(has_ended, "it ends")
        it.haproxy = None


# --- configuring --------------------------------------------------------------------------------------


@story
async def test_reloading_under_load_loses_nothing_and_keeps_every_lane(tmp_path: Path) -> None:
    async with stage(tmp_path, web(), db()) as it:
        await it.route("web", None, w1=OUT, w2=IN)
        await it.route("db", "b", a=OUT, b=IN)
        async with it.clients("web", count=2) as of_web, it.clients("db", count=2) as of_db:
            for _ in range(3):
                it.policy = slower_checks(it.policy)
                result = await it.traffic.configure(it.policy)
                assert result.ending is Ending.DONE, result.error
                assert await it.lanes("web") == {"w1": OUT, "w2": IN}
                assert await it.lanes("db") == {"a": OUT, "b": IN}
                await counted(of_web, "", 50)
        assert failures(of_web, "w2") == {}
        assert failures(of_db, "b") == {}


@story
async def test_a_new_service_is_taken_over_by_a_running_haproxy(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        job = service("job", Mode.SINGLETON, {"j1": free_port(), "j2": free_port()})
        it.policy = replace(it.policy, services={**it.policy.services, "job": job})
        await it.start_members()
        assert (await it.traffic.configure(it.policy)).ending is Ending.DONE
        await it.route("job", "j2", j1=OUT, j2=IN)
        assert await it.get("job") == "j2"


@story
async def test_configuring_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        pid = (await it.by_hand("show info"))[0].partition("Pid: ")[2].split()[0]
        again = HaproxyTraffic(tmp_path)
        assert (await again.configure(it.policy)).ending is Ending.DONE
        assert (await it.by_hand("show info"))[0].partition("Pid: ")[2].split()[0] == pid
        await again.close()


@story
async def test_a_refused_configuration_leaves_the_old_one_in_force_and_says_what_is_wrong(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, web()) as it:
        await it.route("web", None, w1=OUT, w2=IN)
        files = snapshot(tmp_path)
        wrong = replace(it.policy, haproxy=replace(it.policy.haproxy, stats_listen="127.0.0.1:nonsense"))
        result = await it.traffic.configure(wrong)
        assert result.ending is Ending.FAILED
        assert "nonsense" in result.error
        assert snapshot(tmp_path) == files
        assert await it.lanes("web") == {"w1": OUT, "w2": IN}
        await it.route("web", None, w1=IN, w2=IN)


@story
async def test_an_address_in_use_is_named_and_not_tried(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        files = snapshot(tmp_path)
        taken = it.policy.services["web"].members[0].port
        wrong = replace(it.policy, haproxy=replace(it.policy.haproxy, stats_listen=f"127.0.0.1:{taken}"))
        result = await it.traffic.configure(wrong)
        assert result.ending is Ending.FAILED
        assert f"127.0.0.1:{taken}" in result.error
        assert snapshot(tmp_path) == files
        assert (await it.served_by("web")).keys() == {"w1", "w2"}


@story
async def test_a_missing_haproxy_is_said_so(tmp_path: Path) -> None:
    policy = Policy(system="stage", services={"web": web()})
    policy = replace(policy, haproxy=replace(policy.haproxy, program="/nonexistent/haproxy"))
    traffic = HaproxyTraffic(tmp_path)
    result = await traffic.configure(policy)
    assert result.ending is Ending.FAILED
    assert "cannot run /nonexistent/haproxy" in result.error
    await traffic.close()


@story
async def test_routing_to_what_haproxy_does_not_have_fails(tmp_path: Path) -> None:
    async with stage(tmp_path, web()) as it:
        unknown = await it.traffic.route("web", Routing(None, {"w9": IN}))
        assert (unknown.ending, "w9" in unknown.error) == (Ending.FAILED, True)
        nowhere = await it.traffic.route("mail", Routing(None, {"w1": IN}))
        assert (nowhere.ending, "mail" in nowhere.error) == (Ending.FAILED, True)


@story
async def test_a_folder_with_a_long_name_and_spaces_is_as_good_as_any(tmp_path: Path) -> None:
    folder = tmp_path / ("a long name " * 12)
    folder.mkdir()
    async with stage(folder, db()) as it:
        await it.route("db", "b", a=IN, b=IN)
        assert await it.get("db") == "b"


def slower_checks(policy: Policy) -> Policy:
    return replace(
        policy, haproxy=replace(policy.haproxy, check_every=policy.haproxy.check_every + 10_000_000)
    )


def snapshot(directory: Path) -> dict[str, str]:
    return {
        p.name: p.read_text() for p in (directory / "haproxy").iterdir() if p.is_file() and not p.is_socket()
    }


async def until_sessions(it: Stage, name: str, member: str, count: int) -> None:
    async def are_so_many() -> bool:
        return (await it.member(name, member)).sessions == count

    await until(are_so_many, f"{member} has {count} sessions")


async def is_down(it: Stage, name: str, member: str) -> bool:
    return not (await it.member(name, member)).is_up


async def expect(told: asyncio.Event, what: str) -> None:
    try:
        async with asyncio.timeout(20):
            await told.wait()
    except TimeoutError:
        raise AssertionError(f"not told: {what}") from None
    told.clear()
