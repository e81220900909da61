"""What the cluster tells this host's loop: which leases it holds, how the members on other hosts are."""

from holdfast.model.cluster import first_epoch_of
from holdfast.model.events import ElsewhereSeen, Entitled
from holdfast.model.state import State
from holdfast.model.value import replace


def entitled(state: State, event: Entitled) -> State:
    """Take in the leases held here. A service's epochs go on inside the block of its lease."""
    if event.entitlements == state.entitlements:
        return state
    for name, entitlement in event.entitlements.items():
        service = state.services.get(name)
        first = first_epoch_of(entitlement.epoch)
        if service is not None and service.epoch < first:
            state = state.with_service(replace(service, epoch=first))
    return replace(state, entitlements=event.entitlements)


def seen_elsewhere(state: State, event: ElsewhereSeen) -> State:
    """Take in how the members on other hosts are."""
    return state if event.members == state.elsewhere else replace(state, elsewhere=event.members)
