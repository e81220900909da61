"""Meetings: faults that are dangerous together and hardly ever meet by chance, in the second and at the host that matters."""

from random import Random

from holdfast.model.ids import HostName
from holdfast.model.policy import Policy
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import Value
from holdfast.sim.cluster.faults import PRIMARY, STANDBY, ClusterFault, Trouble


class Guest(Value, frozen=True):
    """One fault of a meeting; times in milliseconds, drawn between two bounds."""

    kind: Trouble
    host: HostName = PRIMARY
    after: tuple[int, int] = (0, 0)  # the one before it
    lasts: tuple[int, int] = (2000, 4500)


class Meeting(Value, frozen=True):
    """What meets."""

    guests: tuple[Guest, ...]
    needs_hold: bool = False


_CUT = Guest(Trouble.STORE_CUT, lasts=(3500, 5500))
MEETINGS = (
    # nobody but the guard to end what a lease carried
    *[Meeting((Guest(Trouble.AGENT_PAUSE, lasts=(3000, 4500)),))] * 2,
    # the same, and the answer to its last renewal was late
    *[Meeting((Guest(Trouble.SLOW_LINKS), Guest(Trouble.AGENT_PAUSE, after=(200, 1500))))] * 5,
    Meeting((Guest(Trouble.SLOW_LINKS), Guest(Trouble.ISOLATE, after=(200, 2500)))),
    Meeting((Guest(Trouble.SLOW_LINKS), Guest(Trouble.STORE_CUT, after=(200, 2500), lasts=(1000, 3000)))),
    # an agent that comes back just when its lease ends
    Meeting((_CUT, Guest(Trouble.AGENT_CRASH, after=(0, 2500), lasts=(300, 2500)))),
    # a move whose order is lost on its way
    *[
        Meeting(
            (
                Guest(Trouble.SWITCHOVER, lasts=(0, 1)),
                Guest(Trouble.STORE_AWAY, after=(0, 150), lasts=(100, 600)),
            )
        )
    ]
    * 4,
    Meeting(
        (
            Guest(Trouble.SLOW_STOPS),
            Guest(Trouble.SWITCHOVER, after=(0, 500)),
            Guest(Trouble.AGENT_PAUSE, after=(0, 900)),
        )
    ),
    Meeting((Guest(Trouble.SWITCHOVER), Guest(Trouble.AGENT_PAUSE, STANDBY, (0, 400), (1500, 4000)))),
    # one that could take over is not heard, or not asked
    Meeting((_CUT, Guest(Trouble.BRIDGE, after=(-500, 2000))), needs_hold=True),
    *[Meeting((_CUT, Guest(Trouble.APART, STANDBY, (-500, 800), (3500, 5500))), needs_hold=True)] * 3,
    Meeting((_CUT, Guest(Trouble.AGENT_PAUSE, after=(1000, 3500))), needs_hold=True),
    Meeting((_CUT, Guest(Trouble.MUTE, after=(500, 2500))), needs_hold=True),
    Meeting((_CUT, Guest(Trouble.AGENT_CRASH, STANDBY, (1000, 3000), (50, 400))), needs_hold=True),
    *[
        Meeting(
            (
                _CUT,
                Guest(Trouble.APART, after=(-300, 500), lasts=(2400, 3600)),
                Guest(Trouble.STORE_AWAY, after=(1800, 2600), lasts=(500, 1500)),
            ),
            needs_hold=True,
        )
    ]
    * 3,
    Meeting((Guest(Trouble.STORE_CUT_ALL), Guest(Trouble.MACHINE_PAUSE, after=(0, 3000))), needs_hold=True),
    Meeting(
        (Guest(Trouble.STORE_CUT_ALL), Guest(Trouble.AGENT_CRASH, after=(0, 3000), lasts=(100, 1500))),
        needs_hold=True,
    ),
)


def meet(meeting: Meeting, random: Random, base: Policy) -> list[ClusterFault]:
    """Return the faults of a meeting, once somebody serves."""
    at = 3200 * MILLISECOND + random.randrange(0, SECOND, MILLISECOND)
    faults: list[ClusterFault] = []
    for guest in meeting.guests:
        at += random.randint(*guest.after) * MILLISECOND
        lasts = random.randint(*guest.lasts) * MILLISECOND
        target = ""
        if guest.kind is Trouble.BRIDGE:
            target = random.choice(list(base.hosts))
        elif guest.kind is Trouble.SWITCHOVER:
            target = random.choice(list(base.services))
        faults.append(ClusterFault(guest.kind, at, guest.host, lasts, target))
    return sorted(faults, key=lambda fault: fault.at)
