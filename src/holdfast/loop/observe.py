"""Observing: what an event says goes into the state. Edge-triggered; decides nothing.

Events may come late, twice or never. What makes each safe to take in again:
- a process is told apart by its incarnation, so the end of an earlier life changes nothing;
- a survey or a look at the balancer counts only for what has not changed since it was begun;
- a `Finished` counts only while its decision is in flight.
"""

from typing import assert_never

from holdfast.loop import (
    observe_cluster,
    observe_finished,
    observe_operator,
    observe_policy,
    observe_process,
    observe_traffic,
    reviving,
)
from holdfast.model import events
from holdfast.model.state import ComponentState, ProcessAbsent, ProcessRunning, ProcessUnknown, State
from holdfast.model.time import Instant
from holdfast.model.value import replace


def observe(state: State, event: events.Event, now: Instant) -> State:  # noqa: C901, PLR0912 - a flat table, one line an event
    """Return the state after the event; the same object if it brought nothing new."""
    match event:
        case events.Probed():
            return observe_process.probed(state, event)
        case events.Finished():
            return observe_finished.finished(state, event, now)
        case events.ProcessExited():
            return observe_process.exited(state, event, now)
        case events.ProcessStopped():
            return observe_process.stopped(state, event.component, event.incarnation, now)
        case events.ProcessContinued():
            return observe_process.stopped(state, event.component, event.incarnation, None)
        case events.ProcessDying():
            return observe_process.dying(state, event)
        case events.Surveyed():
            return observe_process.surveyed(state, event, now)
        case events.TrafficSeen():
            return observe_traffic.seen(state, event)
        case events.TrafficLost():
            return observe_traffic.lost(state, event, now)
        case events.PolicyChanged():
            return observe_policy.changed(state, event, now)
        case events.AgentStarted():
            return _agent_started(state, event, now)
        case (
            events.SwitchoverRequested()
            | events.DrainRequested()
            | events.PauseRequested()
            | events.ResumeRequested()
            | events.RestartRequested()
            | events.DownRequested()
        ):
            return observe_operator.requested(state, event, now)
        case events.Entitled():
            return observe_cluster.entitled(state, event)
        case events.ElsewhereSeen():
            return observe_cluster.seen_elsewhere(state, event)
        case events.Ticked():
            return state
        case _:
            assert_never(event)


def _agent_started(state: State, event: events.AgentStarted, now: Instant) -> State:
    """Doubt everything that may have changed while nobody looked; keep what was promised.

    Reviving belongs to the event, so that a journal with several agents in it replays as it was decided.
    """
    state = reviving.revive(state, event.boot, event.wall_offset)
    components = {
        id_: replace(
            component,
            process=ProcessUnknown(now, _seen_at(state, component)),
            flight=None,
            # What was stopped by plan is not missed when it is still absent.
            has_been_up=component.has_been_up and not _is_absent_by_plan(component),
        )
        for id_, component in state.components.items()
    }
    services = {
        name: replace(
            service,
            flight=None,
            routing=None,
            routed=None,
            seen={},
            epoch=max(service.epoch, event.epoch_floors.get(name, 0)),
        )
        for name, service in state.services.items()
    }
    return replace(
        state,
        components=components,
        services=services,
        flights={},
        epoch_floors={**state.epoch_floors, **event.epoch_floors},
        surveyed_at=0,
        balancer_silence=None,
        entitlements=None,
        boot=event.boot,
        wall_offset=event.wall_offset,
        salt=event.salt,
    )


def _seen_at(state: State, component: ComponentState) -> Instant:
    """Return when the component was last known to run: what ends while nobody looks has ended since then."""
    match component.process:
        case ProcessUnknown(seen_at=seen_at):
            return seen_at
        case ProcessRunning(since=since):
            return max(since, state.looked_at)
        case _:
            return 0


def _is_absent_by_plan(component: ComponentState) -> bool:
    return isinstance(component.process, ProcessAbsent) and component.process.is_expected
