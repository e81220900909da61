"""The Traffic port on HAProxy 2.6 or newer.

Fast path: `route` pushes over the runtime socket, which takes well under a millisecond. Safety net:
HAProxy's own checks, always on. What is DOWN must stay down while holdfast lives, even if HAProxy's
check (often only a connect) passes on a hung member, and must heal when holdfast dies. So DOWN is
pushed again and again, faster than the checks can raise it: when the pushes end, it heals.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from holdfast.model.events import Ending
from holdfast.model.ids import MemberName, ServiceName
from holdfast.model.policy import Policy, ServicePolicy
from holdfast.model.routing import Lane, Routing
from holdfast.model.time import SECOND
from holdfast.model.value import replace
from holdfast.ports.components import Result
from holdfast.ports.traffic import ServiceTraffic
from holdfast.traffic import places, standing, steering, taking_over, workers
from holdfast.traffic.carrying import carried, is_reading, reading_name, side_of
from holdfast.traffic.configuring import (
    digest_of,
    fast_interval,
    named_by,
    parse_map_file,
    render,
    render_map,
)
from holdfast.traffic.console import ANSWER_TIMEOUT, Console, Refused, Silent
from holdfast.traffic.standing import Standing
from holdfast.traffic.watching import Feed

_RELOAD_TIMEOUT = 15.0  # seconds
_CUT_MAX = 2.0  # seconds; a session that is cut is over at the worker's next turn
_CUT_LOOK_EVERY = 0.005  # seconds
_RAISE_FOR = 30.0  # seconds; then HAProxy's checks may show whether they have come round
_DONE = Result(Ending.DONE)
_WORLD = (Silent, Refused, TimeoutError)  # what asking HAProxy may end in


class HaproxyTraffic:
    """The HAProxy of this host. It is started by others, from the policy that `with_balancer` made."""

    def __init__(self, directory: Path, *, answer_timeout: float = ANSWER_TIMEOUT) -> None:
        self._places = places.Places.under(directory)
        self._runtime = Console(self._places / places.RUNTIME, answer_timeout=answer_timeout)
        self._master = Console(self._places / places.MASTER, answer_timeout=answer_timeout)
        self._consoles = (self._runtime, self._master)
        self._holding: asyncio.Task[None] | None = None
        self._raised: dict[
            ServiceName, float
        ] = {}  # services held up against HAProxy's checks, and until when
        self._policy: Policy | None = None
        self._routed: dict[ServiceName, Routing] = {}  # what HAProxy confirmed
        self._turning: ServiceName | None = None  # whose traffic is being turned
        self._words = dict(parse_map_file(places.read(self._places / places.MAP)))  # of each active member
        self._map_text: str | None = None  # the map file's text; None: not known
        self._changing = asyncio.Lock()  # one change at a time; looking needs no turn
        self._feed: Feed | None = None

    # --- the configuration ----------------------------------------------------------------------------

    async def configure(self, policy: Policy) -> Result:
        """Put the policy's configuration in force: in the file, and in the HAProxy that runs."""
        async with self._changing:
            if not carried(policy):
                self._policy = policy
                return _DONE
            try:
                result = await self._configure(policy)
            except OSError as error:
                return Result(Ending.FAILED, f"cannot write HAProxy's configuration: {error}")
            if result.ending is not Ending.FAILED:
                self._policy = policy
            return result

    async def _configure(self, policy: Policy) -> Result:
        self._places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        old, new = places.read(self._places / places.CONFIGURATION), render(policy)
        old_map, self._map_text = (
            places.read(self._places / places.MAP),
            None,
        )  # whatever was there: written anew
        running = await self._running()
        self._write_map(policy)  # it is read by the check, and by whoever loads the configuration
        if running is None:
            places.replace_text(self._places / places.STATES, taking_over.NO_STATES)
        if new == old and running in {None, digest_of(new)}:
            return _DONE
        complaint = await self._complaint(policy, new, old if running is not None else new)
        if complaint:
            (self._places / places.CANDIDATE).unlink()
            places.replace_text(self._places / places.MAP, old_map)
            self._map_text = old_map
            return Result(Ending.FAILED, f"HAProxy refuses the configuration: {complaint}")
        (self._places / places.CANDIDATE).replace(self._places / places.CONFIGURATION)
        return _DONE if running is None else await self._reload(policy, old, new)

    async def _complaint(self, policy: Policy, new: str, running: str) -> str:
        places.replace_text(self._places / places.CANDIDATE, new)
        if complaint := await taking_over.complaint(policy.haproxy.program, self._places):
            return complaint
        if taken := taking_over.taken_addresses(running, new):
            return f"cannot listen on {', '.join(taken)}: in use by another program"
        return ""

    async def _reload(self, policy: Policy, old: str, new: str) -> Result:
        try:
            (states,) = await self._runtime.ask("show servers state")
            places.replace_text(self._places / places.STATES, taking_over.kept_states(states, policy))
            async with asyncio.timeout(_RELOAD_TIMEOUT):
                has_taken_over = await workers.reload(self._master, lambda: self._runs(digest_of(new)))
        except _WORLD as error:
            return Result(
                Ending.UNKNOWN, f"HAProxy's reload gave no verdict: {str(error) or 'time limit passed'}"
            )
        finally:
            places.replace_text(self._places / places.STATES, taking_over.NO_STATES)
        if not has_taken_over:
            places.replace_text(self._places / places.CONFIGURATION, old)
            why = "HAProxy cannot load the configuration and goes on with the old one; its log says why"
            return Result(Ending.FAILED, why)
        return await self._route_again(policy)

    async def _running(self) -> str | None:
        """Return the digest of the configuration that HAProxy runs; None if it does not answer."""
        try:
            return (await self._standing()).configuration
        except _WORLD:
            return None

    async def _runs(self, digest: str) -> bool:
        self._runtime.drop()  # a kept connection would go on asking the old worker
        return await self._running() == digest

    async def _route_again(self, policy: Policy) -> Result:
        for name, routing in tuple(self._routed.items()):
            service = side_of(policy, name)
            if service is None or not all(service.anywhere(member) for member in routing.lanes):
                del self._routed[name]  # it has to be decided anew
                continue
            result = await self._route(policy, service, routing)
            if result.ending is not Ending.DONE:
                return Result(
                    Ending.UNKNOWN, f"configured, but where {name} goes is not confirmed: {result.error}"
                )
        return _DONE

    def _write_map(self, policy: Policy) -> None:
        text = render_map(policy, self._words)
        if text != self._map_text:
            places.replace_text(self._places / places.MAP, text)
            self._map_text = text

    # --- routing --------------------------------------------------------------------------------------

    async def route(self, service: ServiceName, routing: Routing) -> Result:
        """Push where the service's traffic goes; the map file first, so that a restart agrees."""
        async with self._changing:
            policy = self._policy
            known = side_of(policy, service) if policy else None
            if policy is None or known is None:
                return Result(Ending.FAILED, f"HAProxy does not carry {service}: it is not configured")
            result = await self._route(policy, known, replace(routing, readers={}))
            side = side_of(policy, reading_name(service))
            if side is None or result.ending is not Ending.DONE:
                return result
            return await self._route(policy, side, Routing(None, routing.readers))

    async def _route(self, policy: Policy, service: ServicePolicy, routing: Routing) -> Result:
        self._turning = service.name
        try:
            return await self._turn(policy, service, routing)
        finally:
            self._turning = None
            self._hold()

    async def _turn(self, policy: Policy, service: ServicePolicy, routing: Routing) -> Result:
        is_pushed = False
        try:
            if (word := steering.map_word(service, routing)) is not None:
                self._words[service.name] = word
                self._write_map(policy)
            now = await self._standing()
            servers = now.servers.get(service.name, {})
            if strangers := sorted(routing.lanes.keys() - servers.keys()):
                raise Refused(f"HAProxy has no server {', '.join(strangers)} for {service.name}")
            self._routed.pop(service.name, None)
            pushes = steering.commands(service, routing, servers, now.actives.get(service.name))
            is_pushed = bool(pushes)
            await self._push(pushes)
            if cut := _cut_off(service, routing):
                await workers.cut_elsewhere(self._master, cut)
                if any(servers[name].sessions for _, name in cut):
                    await self._until_cut(service, frozenset(name for _, name in cut))
        except (TimeoutError, Silent) as error:
            was_sent = is_pushed and (isinstance(error, TimeoutError) or error.is_sent)
            text = str(error) or f"HAProxy does not answer on {self._runtime.socket} in time"
            return Result(Ending.UNKNOWN if was_sent else Ending.FAILED, text)
        except (Refused, OSError) as error:
            return Result(Ending.FAILED, str(error))
        self._routed[service.name] = routing
        return _DONE

    async def _until_cut(self, service: ServicePolicy, members: frozenset[MemberName]) -> None:
        """See that the sessions of these members are over: whoever takes over waits for this answer."""
        async with asyncio.timeout(_CUT_MAX):
            while True:
                servers = (await self._standing()).servers.get(service.name, {})
                left = sorted(name for name in members if name in servers and servers[name].sessions)
                if not left:
                    return
                await self._push(f"shutdown sessions server {service.name}/{name}" for name in left)
                await asyncio.sleep(_CUT_LOOK_EVERY)

    async def _push(self, commands: Iterable[str]) -> None:
        """Send the commands; each is answered with silence, or it was refused."""
        lines = tuple(commands)
        if not lines:
            return
        answers = await self._runtime.ask(*lines)
        single = [command for line in lines for command in line.split(";")]
        refusals = [
            f"{command!r}: {answer}" for command, answer in zip(single, answers, strict=True) if answer
        ]
        if refusals:
            raise Refused(f"HAProxy refused {'; '.join(refusals)}")

    # --- looking --------------------------------------------------------------------------------------

    async def look(self) -> tuple[ServiceTraffic, ...] | None:
        """Return what HAProxy does with every service, sessions of workers from before a reload included."""
        try:
            now = await self._standing()
        except _WORLD:
            await self._mend()
            return None
        self._raise_emptied(now)
        elsewhere: dict[tuple[ServiceName, MemberName], int] = {}
        with suppress(*_WORLD):  # the master is away for a moment while it reloads
            elsewhere = await workers.sessions_elsewhere(self._master)
        return standing.as_traffic(now, self._routed, elsewhere)

    async def _mend(self) -> None:
        """Write again what HAProxy cannot be started without, if somebody removed it."""
        async with self._changing:
            policy = self._policy
            if policy is None or not carried(policy):
                return
            if places.read(self._places / places.CONFIGURATION) and (self._places / places.MAP).exists():
                return
            with suppress(OSError):  # tried again at the next look
                self._places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._map_text = None
                self._write_map(policy)
                places.replace_text(self._places / places.STATES, taking_over.NO_STATES)
                places.replace_text(self._places / places.CONFIGURATION, render(policy))

    async def _standing(self) -> Standing:
        try:
            now = standing.parse(await self._runtime.ask(*standing.QUESTIONS))
        except Silent as error:
            if not error.is_sent:
                raise
            now = None  # the kept connection was to a HAProxy that has ended: there may be a new one
        if now is not None and now.is_stopping:
            self._hang_up()  # it ends when nobody is connected any more; and there may be a new one
            now = None
        if now is None:
            now = standing.parse(await self._runtime.ask(*standing.QUESTIONS))
        return now

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` on HAProxy's own decisions, and when it went or came back."""
        assert self._feed is None
        self._feed = Feed(self._runtime.socket, on_change, self._hang_up)

    # --- holding DOWN and IN, and letting go ----------------------------------------------------------

    def _raise_emptied(self, now: Standing) -> None:
        """Hold up the services whose members that should be IN are all down by HAProxy's own checks.

        It asks what our probes ask, so it finds so many at once unwell as we did; but we decided that serving by
        the doubted is better than not serving (panic, last member), and nobody told it.
        """
        for service, routing in self._routed.items():
            servers = now.servers.get(service, {})
            comers = [name for name, lane in routing.lanes.items() if lane is Lane.IN and name in servers]
            if comers and not any(servers[name].is_usable for name in comers):
                self._raised[service] = asyncio.get_running_loop().time() + _RAISE_FOR
        self._hold()

    def _held(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [
            f"set server {service}/{member} health {'down' if lane is Lane.DOWN else 'up'}"
            for service, routing in self._routed.items()
            if service != self._turning  # a push after it was seen how the servers stand would not be seen
            for member, lane in routing.lanes.items()
            if lane is Lane.DOWN or (lane is Lane.IN and now < self._raised.get(service, 0))
        ]

    def _hold(self) -> None:
        if self._held() and (self._holding is None or self._holding.done()):
            self._holding = asyncio.get_running_loop().create_task(self._keep_holding())

    async def _keep_holding(self) -> None:
        """Push what is held, as it is when it is pushed: what was held before we slept may serve by now.

        On the connection of `route`, which keeps the order: a push that was on its way cannot come after a turn.
        """
        while self._held():
            assert self._policy is not None
            await asyncio.sleep(fast_interval(self._policy) / SECOND)
            if not (held := self._held()):
                return
            with suppress(Silent, TimeoutError):  # `look` says so too
                if any(await self._runtime.ask(*held)):
                    self._runtime.drop()  # a worker that was replaced: the next push finds the new one

    async def release(self) -> None:
        """Leave to HAProxy's checks what they may decide alone. DOWN heals because holding it ends."""
        async with self._changing:
            self._routed.clear()
            self._raised.clear()
            await self._stop_holding()
            policy = self._policy
            if policy is None or not carried(policy):
                return
            with suppress(*_WORLD):
                now = await self._standing()
                for service in carried(policy):
                    if is_reading(service.name):
                        continue  # HAProxy's checks cannot tell how old the data of a member is
                    active = named_by(now.actives.get(service.name))
                    servers = now.servers.get(service.name, {})
                    await self._push(steering.letting_go(service, servers, active))

    async def close(self) -> None:
        """Close every connection; HAProxy goes on."""
        await self._stop_holding()
        if self._feed is not None:
            await self._feed.close()
        for console in self._consoles:
            console.drop()

    def _hang_up(self) -> None:
        for console in self._consoles:
            console.hang_up()
        if self._feed is not None:
            self._feed.leave()  # it may have come too late to hear that this worker ends

    async def _stop_holding(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
            self._holding = None


def _cut_off(service: ServicePolicy, routing: Routing) -> set[tuple[ServiceName, MemberName]]:
    """Return the servers whose sessions must end wherever they are."""
    lanes = {Lane.OUT, Lane.DOWN} if service.is_exclusive else {Lane.OUT}
    return {(service.name, member) for member, lane in routing.lanes.items() if lane in lanes}
