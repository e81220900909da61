"""What HAProxy carries: the services that have traffic, and beside each that is read from the side that reads.

To HAProxy the reading side is one more service, whose members all serve: a frontend and a backend of its own, with lanes of their
own. So all that is true of lanes, sessions, reloads and drift is true of it as well.
"""

from collections.abc import Iterator

from holdfast.model.ids import ServiceName
from holdfast.model.policy import Balance, Mode, Policy, ServicePolicy
from holdfast.model.value import replace

_READING = ".read"  # after the service's name; no service has a dot in its own


def carried(policy: Policy) -> tuple[ServicePolicy, ...]:
    """Return the services whose traffic HAProxy carries, reading sides included."""
    return tuple(side for service in policy.services.values() for side in _sides(service))


def side_of(policy: Policy, name: ServiceName) -> ServicePolicy | None:
    """Return the service, or the reading side, that HAProxy carries under this name."""
    service = policy.services.get(name.removesuffix(_READING))
    return (
        next((side for side in _sides(service) if side.name == name), None) if service is not None else None
    )


def reading_name(service: ServiceName) -> ServiceName:
    """Return what the service's reading side is called."""
    return service + _READING


def is_reading(name: ServiceName) -> bool:
    """Tell whether this is a reading side."""
    return name.endswith(_READING)


def is_nearest_first(service: ServicePolicy) -> bool:
    """Tell whether the first usable member, those of this host first, gets everything."""
    assert service.traffic is not None
    rules = service.traffic.read_only
    return is_reading(service.name) and rules is not None and rules.prefer_local


def _sides(service: ServicePolicy) -> Iterator[ServicePolicy]:
    if service.traffic is None:
        return
    yield service
    rules = service.traffic.read_only
    if rules is not None:
        traffic = replace(
            service.traffic,
            listen_host=rules.listen_host,
            listen_port=rules.listen_port,
            balance=Balance.LEASTCONN,
        )
        yield replace(service, name=reading_name(service.name), mode=Mode.ACTIVE_ACTIVE, traffic=traffic)
