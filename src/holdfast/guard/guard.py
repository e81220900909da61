"""The guard's loop: what is due first, then one request of each client, then wait for the alarm or the next request.

A turn takes some microseconds, one with a deadline some milliseconds. Nothing in it waits for anybody, and what is said
to people is said after what had to be done.
"""

import os
import select
from collections import deque

from holdfast.guard import ending, kernel, messages, processes
from holdfast.guard.armed import SECOND, Armed
from holdfast.guard.ending import Ending
from holdfast.guard.listening import Listening
from holdfast.guard.messages import Arm, Ask, Disarm, Extend, Leave, Request
from holdfast.guard.remembering import Memory
from holdfast.guard.saying import say
from holdfast.guard.understudy import Understudy
from holdfast.guard.watchdog import Watchdog

_TICK_MS = 250  # the longest wait: the watchdog is fed, and removed files are noticed
_ENDED_MAX = 32  # endings that are told to who asks
_STUBBORN_AFTER = 2 * SECOND  # what is left then is told of


class Guard:
    """Everything that the guard holds, and its loop."""

    def __init__(
        self,
        memory: Memory,
        listening: Listening,
        watchdog: Watchdog,
        understudy: Understudy,
        *,
        is_of_agent: bool,
    ) -> None:
        """`is_of_agent`: an agent started it, and may ask it to leave."""
        self._memory = memory
        self._understudy = understudy
        self._is_of_agent = is_of_agent
        self._listening = listening
        self._watchdog = watchdog
        self._alarm = kernel.Alarm()
        self._boot = kernel.boot_id()
        self._since = kernel.now()
        self._armed, self._trouble = memory.recall(self._boot)
        self._endings: dict[str, Ending] = {}
        self._stubborn: set[str] = set()
        self._ended: deque[dict[str, object]] = deque(maxlen=_ENDED_MAX)
        self._is_leaving = False

    def leave(self) -> None:
        """Leave as soon as nothing is armed. Before that, whoever stops the agent too would have a primary with no bounds."""
        self._is_leaving = True

    def run(self) -> None:
        """Turn until it may leave."""
        if self._armed.components:
            say(f"goes on with {self._tell_armed()}")
            self._trouble = self._trouble or self._watchdog.open()
        told_leaving = False
        while not (self._is_leaving and not self._armed.components):
            self._end_what_is_due()
            self._feed()
            self._understudy.keep(kernel.now(), is_wanted=bool(self._armed.components))
            self._speak()
            if self._is_leaving and not told_leaving:
                say(f"is asked to leave, and stays until nothing is armed: {self._tell_armed()}")
                told_leaving = True
            self._listen(self._wait())
        self._understudy.end()
        self._watchdog.turn_off()
        self._listening.close()
        say("leaves")

    # --- the deadlines ------------------------------------------------------------------------------

    def _end_what_is_due(self) -> None:
        now = kernel.now()
        fresh = [component for component in self._armed.due(now) if component not in self._endings]
        for component in fresh:
            self._endings[component] = Ending(component, self._armed.components[component].facts, now)
            self._endings[component].strike()
        if looking := [each for each in self._endings.values() if each.look_at <= now]:
            ending.look_for(looking, kernel.now())
        for component in fresh:
            late = now - self._armed.components[component].deadline
            say(f"ends {component}: its deadline passed {late / 1_000_000:.1f} ms ago")
        for each in looking:
            self._conclude(each)

    def _conclude(self, each: Ending) -> None:
        now = kernel.now()
        if each.is_over:
            deadline = self._armed.components.pop(each.component).deadline
            del self._endings[each.component]
            self._stubborn.discard(each.component)
            self._ended.append(
                {"component": each.component, "deadline": deadline, "began": each.began, "ended": now}
            )
            self._remember()
            say(f"ended {each.component}: killed {len(each.killed)} processes, nothing is left")
        elif now - each.began > _STUBBORN_AFTER and each.component not in self._stubborn:
            self._stubborn.add(each.component)
            unfed = f"; {self._watchdog.path} is not fed" if self._watchdog.is_open else ""
            say(f"cannot end {each.component}: {each.trouble}{unfed}")

    def _feed(self) -> None:
        if not self._armed.components:
            self._watchdog.turn_off()
        elif not self._endings:
            self._watchdog.feed()

    # --- the requests -------------------------------------------------------------------------------

    def _wait(self) -> list[int]:
        now = kernel.now()
        if self._is_due():
            return []
        instants = [each.look_at for each in self._endings.values()]
        if (deadline := self._armed.next_deadline(now)) is not None:
            instants.append(deadline)
        self._alarm.set(min(instants, default=None))
        waiting = select.poll()
        for descriptor in (self._alarm.descriptor, *self._listening.descriptors):
            waiting.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in waiting.poll(_TICK_MS)]
        self._alarm.hear()
        self._listening.stay()
        return [descriptor for descriptor in ready if descriptor != self._alarm.descriptor]

    def _listen(self, ready: list[int]) -> None:
        for descriptor in ready:
            packet = self._listening.receive(descriptor)
            if packet is None:
                continue
            try:
                answer = self._do(messages.decode(packet))
            except ValueError as error:
                answer = messages.refusal(str(error))
            self._listening.answer(descriptor, answer)
            if self._is_due():
                return  # a deadline passed meanwhile: it comes first, the other requests keep

    def _is_due(self) -> bool:
        return any(component not in self._endings for component in self._armed.due(kernel.now()))

    def _do(self, request: Request) -> bytes:
        match request:
            case Arm():
                return _answer(self._arm(request))
            case Extend():
                return self._extend(request)
            case Disarm():
                return _answer(self._disarm(request))
            case Leave():
                return _answer(self._dismissed())
            case Ask():
                return self._tell()

    def _arm(self, request: Arm) -> str:
        facts, component = request.facts, request.component
        if facts.boot != self._boot:
            return "its facts are of another boot"
        if facts.pid == os.getpid():
            return "that is the guard itself"
        if facts.pid and not processes.is_running((facts.pid, facts.ticks)):
            return f"pid {facts.pid}, started at {facts.ticks} ticks, does not run"
        if facts.cgroup and os.getpid() in processes.members(facts.cgroup):
            return f"the guard itself is in {facts.cgroup}"
        before = self._armed.components.get(component)
        if error := self._armed.arm(component, facts, request.deadline, kernel.now()):
            return error
        if error := self._watchdog.open() or self._remember():
            self._take_back(component, before)
            return error
        return ""

    def _take_back(self, component: str, before: Armed | None) -> None:
        if before is None:
            del self._armed.components[component]
        else:
            self._armed.components[component] = before

    def _extend(self, request: Extend) -> bytes:
        now = kernel.now()
        refused = {
            component: error
            for component, deadline in request.deadlines.items()
            if (error := self._armed.extend(component, deadline, now))
        }
        # Not remembered, a deadline is sooner for the next guard than for this one: that errs on the safe side.
        self._remember()
        return messages.pack({"ok": True, "refused": refused})

    def _disarm(self, request: Disarm) -> str:
        error = self._armed.disarm(request.component, kernel.now())
        if not error:
            self._remember()
        return error

    def _dismissed(self) -> str:
        if not self._is_of_agent:
            return "no agent started it"
        self.leave()
        return ""

    def _tell(self) -> bytes:
        armed = {
            component: {
                "deadline": each.deadline,
                "pid": each.facts.pid,
                "is_overdue": component in self._endings,
            }
            for component, each in self._armed.components.items()
        }
        watchdog = self._watchdog.path if self._watchdog.is_open else ""
        guard = {
            "pid": os.getpid(),
            "since": self._since,
            "watchdog": watchdog,
            "is_leaving": self._is_leaving,
        }
        return messages.pack({"ok": True, "armed": armed, "ended": list(self._ended), "guard": guard})

    # --- the rest -----------------------------------------------------------------------------------

    def _remember(self) -> str:
        error = self._memory.keep(self._armed, self._boot)
        if error:
            self._trouble = f"cannot write down what is armed: {error}"
        return error and self._trouble

    def _speak(self) -> None:
        for trouble in (self._trouble, self._watchdog.warning, self._understudy.trouble):
            if trouble:
                say(f"warning: {trouble}")
        self._trouble = self._watchdog.warning = self._understudy.trouble = ""

    def _tell_armed(self) -> str:
        return ", ".join(sorted(self._armed.components)) or "nothing"


def _answer(error: str) -> bytes:
    return messages.refusal(error) if error else messages.pack({"ok": True})
