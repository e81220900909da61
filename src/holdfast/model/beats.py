"""Heartbeats: what agents say to each other directly, many times a second, beside the coordinator.

A beat is evidence that its sender's loop turns and that the network carries it, no more. It moves traffic; the
primary role moves by lease alone. It also carries what cannot wait for the coordinator or must work without it: what
changed on the host, and the promises of `on_coordinator_loss: hold`.
"""

from holdfast.model.cluster import HostReport
from holdfast.model.ids import Epoch, HostName, LifeId, ServiceName
from holdfast.model.time import Duration
from holdfast.model.value import Value


class Heard(Value, frozen=True):
    """What the sender last heard of one other host: an acknowledgement for it, a second opinion for the rest."""

    life: LifeId
    sequence: int  # of the newest beat
    ago: Duration  # how long before this beat was sent
    report: int = 0  # number of the newest report that came


class Beat(Value, frozen=True):
    """One heartbeat of one host."""

    host: HostName
    life: LifeId
    sequence: int  # grows by one with each beat of a life
    heard: dict[HostName, Heard] = {}
    report_number: int = 0  # grows with each change of the report
    report: HostReport | None = None  # left out once all have acknowledged it
    is_connected: bool = True  # the sender's session with the coordinator is renewed as it should be
    holds: dict[ServiceName, Epoch] = {}  # "do not take these leases over": it serves and cannot renew them
    promises: dict[HostName, dict[ServiceName, Epoch]] = {}  # granted to `host` for the beat named in `heard`
    promises_last: Duration = 0  # each of them, from when that beat came
