"""HAProxy as one more service of the system: started, watched and restarted like any other.

It has a probe only when its page is configured: a fixed port that is surely HAProxy's own. Otherwise
its end is seen by the process table, a stop signal likewise, a thread that hangs by HAProxy's own
watchdog, and what hangs otherwise by `look`: its process runs, and its socket stays silent (model/duty.py).
"""

from pathlib import Path

from holdfast.model.policy import (
    HttpCheck,
    MemberPolicy,
    Mode,
    Policy,
    ProbePolicy,
    ProcessSpec,
    Purpose,
    RestartPolicy,
    ServicePolicy,
)
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from holdfast.traffic import places
from holdfast.traffic.carrying import carried
from holdfast.traffic.configuring import ALIVE

NAME = "haproxy"

_WILDCARDS = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound

# Without HAProxy nothing is served, so we are in no hurry to give up.
_RESTART = RestartPolicy(
    restarts_max=20,
    backoff_min=100 * MILLISECOND,
    backoff_max=5 * SECOND,
    stable_after=5 * SECOND,
    retry_after=30 * SECOND,
)


def with_balancer(policy: Policy, directory: Path) -> Policy:
    """Return the policy with HAProxy as its first service, if any service has traffic.

    First: it is started before and stopped after what it carries.
    """
    others = {name: service for name, service in policy.services.items() if not _is_balancer(service)}
    if NAME in others:
        raise ValueError(f"a service may not be called {NAME!r}: holdfast's own HAProxy is")
    rest = replace(policy, services=others)
    if not carried(rest):
        return rest
    return replace(rest, services={NAME: _service(policy, directory), **others})


def process(policy: Policy, directory: Path) -> ProcessSpec:
    """Return how HAProxy is run."""
    folder = places.Places.under(directory).folder
    listener = f"unix@{places.MASTER},mode,600,level,admin"
    arguments = ("-C", str(folder), "-W", "-db", "-f", places.CONFIGURATION, "-S", listener)
    # USR1: take no more connections, end when the last one has; those that do not end are cut.
    return ProcessSpec(
        command=(policy.haproxy.program, *arguments), stop_signal="USR1", stop_grace=3 * SECOND
    )


def _service(policy: Policy, directory: Path) -> ServicePolicy:
    member = MemberPolicy(name=NAME, run=process(policy, directory), probes=_probes(policy))
    return ServicePolicy(name=NAME, mode=Mode.SINGLETON, members=(member,), restart=_RESTART, is_builtin=True)


def _probes(policy: Policy) -> tuple[ProbePolicy, ...]:
    if policy.haproxy.stats_listen is None:
        return ()
    host, _, port = policy.haproxy.stats_listen.rpartition(":")
    host = host.strip("[]")
    check = HttpCheck(host=_WILDCARDS.get(host, host), port=int(port), path=ALIVE)
    return (ProbePolicy(name="alive", purpose=Purpose.LIVENESS, check=check),)


def _is_balancer(service: ServicePolicy) -> bool:
    return service.is_builtin and service.name == NAME
