"""Telling what happened between several hosts, one line each: by whom, in the time of the simulation."""

from collections.abc import Callable
from typing import Any

from holdfast.model import cluster_events
from holdfast.model.cluster_events import Order, subject_of_order
from holdfast.model.ids import HostName
from holdfast.model.time import Instant
from holdfast.sim.cluster.faults import ClusterFault
from holdfast.sim.telling import say_decision, say_event, show_wait, stamp

_MARKS = {"fault": "!!", "decision": "->", "order": "=>", "truth": "==", "guard": "**", "note": "--"}


class ClusterTimeline:
    """Every line of one simulation. `is_full`: what the loops heard too, not only what was done."""

    def __init__(self, write: Callable[[str], None], since: Callable[[], Instant], *, is_full: bool) -> None:
        self._write = write
        self._since = since
        self._is_full = is_full

    def __call__(self, host: HostName, what: str, told: Any) -> None:  # noqa: ANN401 - events, decisions, orders, faults, words
        """Write one line."""
        text = self._say(what, told)
        if text:
            self._write(f"{stamp(self._since())} {host:2} {_MARKS.get(what, '  ')} {text}")

    def _say(self, what: str, told: Any) -> str:  # noqa: ANN401 - the same
        match what:
            case "fault":
                fault, note = told
                return say_cluster_fault(fault, note)
            case "decision":
                return say_decision(told)
            case "order":
                return say_order(told)
            case "event":
                return say_event(told) or _say_cluster_news(told) if self._is_full else ""
            case "cluster event":
                return _say_cluster_event(told) if self._is_full else ""
            case _:
                return str(told)


def say_cluster_fault(fault: ClusterFault, note: str = "") -> str:
    """Return what was done to the cluster."""
    kind = str(fault.local or fault.kind)
    words = [kind, fault.host, fault.target, show_wait(fault.lasts)]
    text = " ".join(word for word in words if word)
    return f"{text} ({note})" if note else text


def say_order(order: Order) -> str:
    """Return what the cluster loop orders."""
    name = type(order).__name__
    why = order.why
    return f"{name} {subject_of_order(order)} #{order.id}: {why}"


def _say_cluster_event(event: cluster_events.ClusterEvent) -> str:
    match event:
        case cluster_events.TimePassed() | cluster_events.BeatHeard() | cluster_events.SessionRenewed():
            return ""
        case cluster_events.ViewSeen(view=view):
            leases = {name: (lease.host, lease.epoch) for name, lease in view.leases.items()}
            leader = view.leader.host if view.leader is not None else None
            return f"sees: leader {leader}, hosts {sorted(view.hosts)}, leases {leases}, epochs {view.lease_epochs}"
        case cluster_events.MembersReported(members=members, entitlements=known):
            told = {
                id_: f"{m.status}/{m.role}{' clear' if m.is_clear else ''}{' unfit: ' + m.unfit if m.unfit else ''}"
                for id_, m in members.items()
            }
            return f"members: {told}, knows {known}"
        case _:
            return repr(event)


def _say_cluster_news(event: Any) -> str:  # noqa: ANN401 - events of a host's own loop
    return f"told: {event.entitlements}" if type(event).__name__ == "Entitled" else ""
