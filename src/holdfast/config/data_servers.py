"""What is the same for every kind of server that holds data: the probe that asks it, and what its service has to be like."""

from holdfast.config.document import Place
from holdfast.config.keys import Reading
from holdfast.config.scope import Scope
from holdfast.model.policy import Check, MemberPolicy, Mode, ProbePolicy, Purpose
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace


def probe_of(name: str, check: Check) -> ProbePolicy:
    """Return the probe that asks a server of the kind `name`, as often as its care looks at it."""
    return ProbePolicy(
        name=name,
        purpose=Purpose.LIVENESS,
        check=check,
        every=500 * MILLISECOND,
        timeout=SECOND,
        fall=3,
        every_suspect=200 * MILLISECOND,
    )


def check_placed(
    member: MemberPolicy, what: tuple[str, int], mode: Mode, place: Place, scope: Scope, *, has_hosts: bool
) -> None:
    """Note what a member that runs `what`, a kind's name and its usual port, cannot be part of."""
    name, port = what
    if mode is not Mode.ACTIVE_STANDBY:
        scope.refuse_at(place, f"must be active-standby, as it runs {name}", "write mode: active-standby")
    if has_hosts and member.on is None:
        message = f"{member.name} runs {name}, so it has to be bound to a host: its data cannot move"
        scope.refuse_at(place, message, "write on: HOST at each member")
    if member.port is None:
        scope.refuse_at(place, f"{member.name} runs {name}, so it needs a port", f"write port: {port}")


def with_probe(member: MemberPolicy, probe: ProbePolicy) -> MemberPolicy:
    """Return the member with the probe, unless the operator wrote one of that name."""
    if any(each.name == probe.name for each in member.probes):
        return member
    return replace(member, probes=(probe, *member.probes))


def check_own_parameters(reading: Reading, own: frozenset[str], hints: dict[str, str], scope: Scope) -> bool:
    """Tell whether `parameters` has none that is ours to set; note those. `hints` say what to do, else to remove it."""
    parameters: dict[str, str] = reading.values.get("parameters", {})
    place = reading.key_places.get("parameters", reading.place)
    wrong = [name for name in parameters if name in own]
    for name in wrong:
        scope.refuse_at(place, f"has {name}, which holdfast sets itself", hints.get(name, "remove it"))
    return not wrong
