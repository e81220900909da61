"""What events say of processes and of the probes that ask them."""

from holdfast.model import events
from holdfast.model.duty import is_ended_by_us, member_policy
from holdfast.model.ids import ComponentId, Incarnation
from holdfast.model.observation import Failure, Observation, Outcome
from holdfast.model.policy import Mode, ProbePolicy, Purpose
from holdfast.model.standing import Role, Status
from holdfast.model.state import (
    ComponentState,
    ProbeState,
    ProcessAbsent,
    ProcessRunning,
    ProcessUnknown,
    State,
)
from holdfast.model.time import Instant
from holdfast.model.value import replace


def exited(state: State, event: events.ProcessExited, now: Instant) -> State:
    """Take in the end of a process, unless it was an earlier life."""
    component = state.components.get(event.component)
    if component is None:
        return state
    match component.process:
        case ProcessRunning(incarnation=incarnation) if incarnation == event.incarnation:
            is_ours = is_ended_by_us(state, component)
            return state.with_component(gone(component, event.incarnation, event.exit, now, is_ours=is_ours))
        case ProcessAbsent(last=last) if component.flight is not None and component.flight.action == "start":
            if last == event.incarnation:
                return state  # the life before the one being started
            # The end overtook the news of the start; `Finished` will name the same life and be believed less.
            return state.with_component(gone(component, event.incarnation, event.exit, now, is_ours=False))
        case _:
            return state


def gone(
    component: ComponentState,
    last: Incarnation | None,
    how: events.Exit | None,
    now: Instant,
    *,
    is_ours: bool,
    is_clean: bool = False,
) -> ComponentState:
    """Return the component with its process proven absent: a dead process holds no role and answers no probe.

    `is_ours`: we ended it, by plan, or because it failed; then its failure is the reason, not how it ended.
    `is_clean`: what it started is proven to be gone too, not only its main process.
    """
    has_failed = component.status is Status.DOWN
    process = ProcessAbsent(
        now,
        last,
        how,
        is_expected=is_ours and not has_failed,
        ended_for=component.reason if is_ours and has_failed else "",
        seen_at=component.process.seen_at if isinstance(component.process, ProcessUnknown) else 0,
        is_clean=is_clean,
    )
    return replace(
        component,
        process=process,
        probes={},
        role=Role.STANDBY,
        role_since=now,
        fence="",
    )


def stopped(state: State, id_: ComponentId, incarnation: Incarnation, since: Instant | None) -> State:
    """Take in that a process was stopped by a signal (`since`), or continues (None)."""
    component = state.components.get(id_)
    if component is None or not isinstance(component.process, ProcessRunning):
        return state
    process = component.process
    if process.incarnation != incarnation or (process.stopped_since is None) == (since is None):
        return state
    return state.with_component(replace(component, process=replace(process, stopped_since=since)))


def dying(state: State, event: events.ProcessDying) -> State:
    """Take in that a process began to end. Its role stays until it is proven gone."""
    component = state.components.get(event.component)
    if component is None or not isinstance(component.process, ProcessRunning):
        return state
    if component.process.incarnation != event.incarnation or component.process.is_dying:
        return state
    return state.with_component(replace(component, process=replace(component.process, is_dying=True)))


def probed(state: State, event: events.Probed) -> State:
    """Take in one answer by the probe's rise and fall."""
    component = state.components.get(event.component)
    if component is None or not isinstance(component.process, ProcessRunning):
        return state
    if component.process.incarnation != event.incarnation:
        return state
    policy = member_policy(state, event.component)
    probe = next((probe for probe in policy.probes if probe.name == event.probe), None) if policy else None
    if probe is None:
        return state
    before = component.probes.get(event.probe, ProbeState())
    if before.last is not None and event.observation.at < before.last.at:
        return state  # an older answer that was overtaken
    after = counted(before, probe, event.observation)
    if after == before:
        return state
    return state.with_component(replace(component, probes={**component.probes, event.probe: after}))


def counted(before: ProbeState, probe: ProbePolicy, seen: Observation) -> ProbeState:
    """Return what is known of a probe after one more answer.

    UNKNOWN answers count for nothing; but from who does not know how old it is nobody should read.
    """
    if seen.failure is Failure.STARTING:
        return replace(before, last=seen, progressed_at=seen.at)
    if seen.failure is Failure.UNOPENED:
        return replace(before, last=seen)
    if seen.outcome is Outcome.UNKNOWN and probe.purpose is not Purpose.READING:
        return replace(before, last=seen) if before.last is None else before
    if seen.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        streak = max(min(before.streak, 0) - 1, -probe.fall)
        failing_from = before.failing_from if before.streak < 0 else seen.at - seen.latency
        falls = streak <= -probe.fall and before.passed is not False
        return replace(
            before,
            streak=streak,
            failing_from=failing_from,
            last=seen,
            passed=False if falls else before.passed,
            since=seen.at if falls else before.since,
        )
    streak = min(max(before.streak, 0) + 1, probe.rise)
    rises = streak >= probe.rise and before.passed is not True
    return replace(
        before,
        streak=streak,
        failing_from=None if streak >= probe.rise else before.failing_from,
        last=seen,
        passed=True if rises else before.passed,
        since=seen.at if rises else before.since,
        ever_passed=before.ever_passed or rises,
    )


def surveyed(state: State, event: events.Surveyed, now: Instant) -> State:
    """Take in what was found running, for every component that did not change since looking began."""
    if event.taken_at < state.surveyed_at:
        return state
    found = {seen.component: seen for seen in event.processes}
    changed: dict[ComponentId, ComponentState] = {}
    for id_, component in state.components.items():
        after = _survey_one(state, component, found.get(id_), event.taken_at, now)
        if after is not component:
            changed[id_] = after
    for id_, seen in found.items():
        if id_ not in state.components:  # runs, but the file no longer names it
            changed[id_] = ComponentState(id_, _running(seen, now), status_since=now)
    if not changed and state.surveyed_at:
        # The time of looking alone is not news: it would make every survey a turn.
        return state
    return replace(state, components={**state.components, **changed}, surveyed_at=event.taken_at)


def _survey_one(
    state: State, component: ComponentState, seen: events.ProcessSeen | None, taken_at: Instant, now: Instant
) -> ComponentState:
    if component.flight is not None or component.process.since > taken_at or component.role_since > taken_at:
        return component
    process = component.process
    if seen is None:
        match process:
            case ProcessAbsent():
                return component
            case ProcessRunning():
                how = events.Exit(
                    detail="it was gone when processes were surveyed; how it ended is not known"
                )
                return gone(component, process.incarnation, how, now, is_ours=False)
            case ProcessUnknown():
                is_new = not component.has_been_up
                return gone(component, None, None, now, is_ours=is_new, is_clean=is_new)
    if isinstance(process, ProcessRunning) and process.incarnation == seen.incarnation:
        if process.run_digest != seen.run_digest:  # the file changed while it was being started
            process = replace(process, run_digest=seen.run_digest)
            component = replace(component, process=process)
        if (process.stopped_since is not None) != seen.is_stopped:
            component = replace(
                component, process=replace(process, stopped_since=now if seen.is_stopped else None)
            )
    else:
        component = replace(component, process=_running(seen, now), probes={})
    return _with_seen_role(state, component, seen, now)


def _running(seen: events.ProcessSeen, now: Instant) -> ProcessRunning:
    return ProcessRunning(
        seen.incarnation,
        now,
        stopped_since=now if seen.is_stopped else None,
        run_digest=seen.run_digest,
        adopted=seen.adopted,
    )


def _with_seen_role(
    state: State, component: ComponentState, seen: events.ProcessSeen, now: Instant
) -> ComponentState:
    """Believe the role that stands beside the process, not the one in memory."""
    service = state.policy.services.get(component.id.partition("/")[0])
    is_primary = seen.is_primary or (service is not None and service.mode is Mode.SINGLETON)
    role = Role.PRIMARY if is_primary else Role.STANDBY
    if component.role is Role.PROMOTING and is_primary:
        return (
            component  # the record is written before the hook runs: it does not say that the promotion worked
        )
    if (
        service is None
        or service.mode is Mode.ACTIVE_ACTIVE
        or (role is component.role and seen.epoch == component.epoch)
    ):
        return component
    epoch = max(seen.epoch, component.epoch) if is_primary else component.epoch
    if role is component.role and epoch == component.epoch:
        return component
    return replace(component, role=role, role_since=now, epoch=epoch)
