"""The probe engine: one epoll and one tick for all probes of a host.

An epoll's descriptor can itself be watched; so the engine keeps its sockets in an epoll of its own and hangs
that one descriptor into the event loop. No task, no transport and no timer per question: that is the
difference between five thousand and fifty thousand questions per CPU-second. Every 20 ms a tick asks what is
due and gives up what is overdue; when nothing is pending it sleeps until the next question.

Before it judges silence the engine looks at itself. It drains its sockets first, since an answer may be
waiting there; and it keeps account of how late its own ticks were. A question during which it was late by
more than half the timeout was not fairly asked: its silence is UNKNOWN, not FAILED.
"""

import asyncio
import functools
import random
import time
from collections.abc import Callable

from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Failure, Layer, Observation, Outcome
from holdfast.model.policy import ExecCheck, ProbePolicy
from holdfast.model.postgresql import PostgresCheck
from holdfast.model.reading import ReadingCheck
from holdfast.model.redis import RedisCheck
from holdfast.model.time import MILLISECOND, SECOND, Duration, Instant
from holdfast.ports.probing import Report
from holdfast.probing import tls_pipe
from holdfast.probing.addresses import Address, Addresses, Names
from holdfast.probing.inquiry import Inquiry, equip
from holdfast.probing.plug import EVENTS_MAX, Poller
from holdfast.probing.programs import Program
from holdfast.probing.silence import Silence
from holdfast.probing.verdict import ASKED_TOO_LATE, Verdict, is_excusable, unknown
from holdfast.probing.wheel import Wheel

TICK: Duration = 20 * MILLISECOND
PROGRAMS_MAX = 8  # that run at a time; the others queue, which is not held against them
FRESH_EVERY = 4  # so many HTTP questions share a connection: new clients must get in, and that is to be seen

_NEVER = 1 << 62
_PASSED = Outcome.PASSED


boottime: Callable[[], Instant] = functools.partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)


class ProbeEngine:
    """The probes of this host. Made, used and closed on the event loop's thread."""

    def __init__(
        self, chance: random.Random, *, programs_max: int = PROGRAMS_MAX, fresh_every: int = FRESH_EVERY
    ) -> None:
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._fresh_every = fresh_every
        self._report: Report | None = None
        self._inquiries: dict[ComponentId, dict[str, Inquiry]] = {}
        self._poller: Poller[Inquiry] = Poller()
        self._silence = Silence()
        self._names = Names(self._loop)
        self._tls = functools.cache(lambda is_verified: tls_pipe.context(is_verified=is_verified))
        self._wheel: Wheel[Inquiry] = Wheel()
        self._asked: list[Inquiry] = []  # in this tick
        self._pending = 0  # questions over sockets that are not answered
        self._stalled: Duration = 0  # how late the ticks were, all in all
        self._noticed_at: Instant = 0  # lateness until then is in the account
        self._timer: asyncio.TimerHandle | None = None
        self._armed_tick = _NEVER  # for which the timer is set
        self._slots = asyncio.Semaphore(programs_max)
        self._programs: dict[Inquiry, asyncio.Task[None]] = {}
        self._is_closed = False
        self._loop.add_reader(self._poller.fileno(), self._on_ready)

    # --- the port -------------------------------------------------------------------------------------

    def watch(self, report: Report) -> None:
        """Report every observation to `report` from now on."""
        self._report = report

    def set(self, component: ComponentId, incarnation: Incarnation, probes: tuple[ProbePolicy, ...]) -> None:
        """Ask these probes about this life of the component; replaces what was asked before."""
        self.clear(component)
        assert not self._is_closed
        now = boottime()
        asked = self._inquiries[component] = {}
        for policy in probes:
            if isinstance(policy.check, PostgresCheck | RedisCheck | ReadingCheck):
                continue  # asked by who looks after the server
            inquiry = asked[policy.name] = Inquiry(component, incarnation, policy, self._chance)
            equip(inquiry, self._poller, self._silence, self._tls, fresh_every=self._fresh_every)
            self._plan(inquiry, now + inquiry.pace.first(), now)

    def clear(self, component: ComponentId) -> None:
        """Ask nothing about the component any more."""
        for inquiry in self._inquiries.pop(component, {}).values():
            self._forget(inquiry)

    def hurry(self, component: ComponentId, probe: str, *, is_suspect: bool) -> None:
        """Ask at `every_suspect` while `is_suspect`, at `every` otherwise."""
        inquiry = self._inquiries.get(component, {}).get(probe)
        if inquiry is None:
            return
        inquiry.pace.hurry(is_suspect=is_suspect)
        if is_suspect and not inquiry.is_pending and inquiry.unnamed_since is None:
            now = boottime()
            soon = inquiry.asked_at + inquiry.policy.every_suspect
            if soon < inquiry.wake_tick * TICK:
                self._plan(inquiry, soon, now)

    async def close(self) -> None:
        """Stop asking; no descriptor and no program is left."""
        if self._is_closed:
            return
        for component in tuple(self._inquiries):
            self.clear(component)
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._poller.fileno())
        self._poller.close()
        await asyncio.gather(*self._programs.values(), return_exceptions=True)

    # --- time -----------------------------------------------------------------------------------------

    def _plan(self, inquiry: Inquiry, at: Instant, now: Instant) -> None:
        """Wake the inquiry at the tick of `at`, but never at the present one."""
        tick = inquiry.wake_tick = max(at, now + TICK) // TICK
        self._wheel.put(tick, inquiry)
        if tick < self._armed_tick:
            self._arm(tick, now)

    def _arm(self, tick: int, now: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_tick = tick
        self._timer = self._loop.call_later((tick * TICK - now) / SECOND, self._on_tick)

    def _on_tick(self) -> None:
        now = boottime()
        self._notice_lateness(now)
        self._armed_tick = -1  # whatever is planned from here on is seen when the timer is set again below
        try:
            self._drain()
            for tick, inquiry in self._wheel.take(now // TICK):
                if inquiry.wake_tick == tick:
                    self._wake(inquiry)
            self._drain()
            self._set_deadlines()
        finally:
            self._rearm()

    def _on_ready(self) -> None:
        # After a stall this runs before the overdue tick: the account must be right for what is judged here.
        self._notice_lateness(boottime())
        self._drain()

    def _notice_lateness(self, now: Instant) -> None:
        since = max(self._armed_tick * TICK, self._noticed_at)
        if now - since > TICK:
            self._stalled += now - since
            self._noticed_at = now

    def _rearm(self) -> None:
        if self._is_closed:
            return
        now = boottime()
        tick = self._wheel.next_tick()
        if self._pending:
            # While answers are awaited every tick is kept: that is how our own lateness is noticed.
            tick = now // TICK + 1
        if tick is None:
            self._armed_tick = _NEVER
        else:
            self._arm(tick, now)

    # --- asking ---------------------------------------------------------------------------------------

    def _wake(self, inquiry: Inquiry) -> None:
        now = boottime()
        if inquiry.asker is None:
            self._run_program(inquiry)
        elif inquiry.is_pending:
            self._conclude(inquiry, inquiry.asker.expire(now), now)
        else:
            addresses = inquiry.addresses or self._resolve(inquiry, now)
            if addresses:
                inquiry.asked_at = now
                inquiry.tried = 0
                inquiry.refusal = None
                inquiry.is_pending = True
                inquiry.stalled_before = self._stalled
                inquiry.wake_tick = _NEVER
                self._asked.append(inquiry)
                self._pending += 1
                self._ask(inquiry, addresses[0], now)

    def _set_deadlines(self) -> None:
        # Most questions on the own host have been answered by now and need none: that is worth a tenth of the cost.
        now = boottime()
        for inquiry in self._asked:
            if inquiry.wake_tick == _NEVER:
                self._plan(inquiry, inquiry.asked_at + inquiry.policy.timeout + TICK - 1, now)
        self._asked.clear()

    def _ask(self, inquiry: Inquiry, address: Address, now: Instant) -> None:
        assert inquiry.asker is not None
        verdict = inquiry.asker.ask(address)
        if verdict is not None:
            self._conclude(inquiry, verdict, now)

    def _resolve(self, inquiry: Inquiry, now: Instant) -> Addresses:
        """Return the addresses of the target's name; none is known yet: look again at the next tick, for a while."""
        addresses = self._names.find(*inquiry.target)
        if addresses:
            inquiry.unnamed_since = None
            return addresses
        if inquiry.unnamed_since is None:
            inquiry.unnamed_since = now
        if now - inquiry.unnamed_since < inquiry.policy.timeout:
            self._plan(inquiry, now + TICK, now)
            return ()
        inquiry.asked_at, inquiry.unnamed_since = inquiry.unnamed_since, None
        host, port = inquiry.target
        reason = self._names.error(host, port) or "the resolver does not answer"
        detail = f"cannot find the address of {host}: {reason.lower()}"
        self._settle(inquiry, unknown(Layer.CONNECT, Failure.UNREACHABLE, detail), now)
        return ()

    def _drain(self) -> None:
        """Take in every answer that is there."""
        while not self._is_closed:
            batch = self._poller.take()
            if not batch:
                return
            now = boottime()
            for inquiry, events in batch:
                if inquiry.is_closed or inquiry.asker is None:
                    continue
                verdict = inquiry.asker.ready(events)
                if verdict is not None:
                    self._conclude(inquiry, verdict, now)
            if len(batch) < EVENTS_MAX:
                return

    # --- judging --------------------------------------------------------------------------------------

    def _conclude(self, inquiry: Inquiry, verdict: Verdict, now: Instant) -> None:
        """End a question over a socket."""
        if verdict.outcome is not _PASSED:
            if self._try_next(inquiry, verdict, now):
                return
            if inquiry.refusal is not None and verdict.layer is Layer.CONNECT:
                verdict = inquiry.refusal  # the first of several addresses is the one that people expect
            if is_excusable(verdict) and self._stalled - inquiry.stalled_before > inquiry.policy.timeout // 2:
                verdict = ASKED_TOO_LATE
        inquiry.is_pending = False
        self._pending -= 1
        self._settle(inquiry, verdict, now)

    def _try_next(self, inquiry: Inquiry, verdict: Verdict, now: Instant) -> bool:
        """Ask the next address of a name that refused, such as 127.0.0.1 and ::1 for localhost."""
        if verdict.failure is not Failure.REFUSED:
            return False
        inquiry.tried += 1
        addresses = inquiry.addresses or self._names.find(*inquiry.target)
        if inquiry.tried >= len(addresses):
            return False
        inquiry.refusal = inquiry.refusal or verdict
        self._ask(inquiry, addresses[inquiry.tried], now)
        return True

    def _settle(self, inquiry: Inquiry, verdict: Verdict, now: Instant) -> None:
        """Plan the next question, then report: whoever is told may stop or replace the inquiry."""
        outcome, asked_at = verdict.outcome, inquiry.asked_at
        self._plan(inquiry, asked_at + inquiry.pace.after(outcome), now)
        if self._report is not None:
            observation = Observation(
                outcome,
                verdict.layer,
                verdict.failure,
                now - asked_at,
                now,
                verdict.detail,
                verdict.measurements,
            )
            self._report(inquiry.component, inquiry.policy.name, inquiry.incarnation, observation)

    def _forget(self, inquiry: Inquiry) -> None:
        if inquiry.is_pending and inquiry.asker is not None:
            inquiry.is_pending = False
            self._pending -= 1
        inquiry.close()
        if inquiry in self._programs:
            self._programs[inquiry].cancel()

    # --- programs -------------------------------------------------------------------------------------

    def _run_program(self, inquiry: Inquiry) -> None:
        task = self._loop.create_task(
            self._run(inquiry), name=f"probe {inquiry.component} {inquiry.policy.name}"
        )
        self._programs[inquiry] = task
        task.add_done_callback(lambda _: self._programs.pop(inquiry, None))

    async def _run(self, inquiry: Inquiry) -> None:
        check = inquiry.policy.check
        assert isinstance(check, ExecCheck)
        inquiry.is_pending = True
        async with self._slots:
            inquiry.asked_at = boottime()
            verdict = await Program(check.command).run(inquiry.policy.timeout)
        inquiry.is_pending = False
        if not inquiry.is_closed:
            self._settle(inquiry, verdict, boottime())
