"""Naming the cause of what was found, in its first form: rules over what is known of the component itself.

The order is from the root outwards: what a dependency's absence explains is not blamed on the member, a
spent budget is named before the failure that spent it, and what no rule explains is called unknown.
"""

from holdfast.model.duty import hung_balancer_at, member_policy, waits_for
from holdfast.model.findings import Cause, CauseCode, Finding, FindingCode
from holdfast.model.ids import ComponentId, ServiceName, service_of
from holdfast.model.observation import Failure, Layer, Outcome
from holdfast.model.standing import Status
from holdfast.model.state import ComponentState, ProbeState, ProcessAbsent, ProcessRunning, State
from holdfast.model.time import Instant, show_duration

_HANGING = frozenset({Failure.TIMED_OUT, Failure.QUEUE_FULL})


def diagnose(state: State, findings: tuple[Finding, ...], now: Instant) -> dict[ComponentId, Cause]:
    """Return the cause of each component's finding."""
    causes: dict[ComponentId, Cause] = {}
    for finding in findings:
        if finding.component is not None and finding.component not in causes:
            component = state.components[finding.component]
            if _is_named_already(component):
                continue
            if finding.code is FindingCode.MEMBER_FLAPPING and component.status is not Status.DOWN:
                causes[component.id] = _flapping(component, finding)
            else:
                causes[component.id] = _name(state, component, now)
        elif finding.code is FindingCode.SERVICE_BELOW_THRESHOLD and not causes:
            causes.update(_degraded(state, finding))
    return causes


def _is_named_already(component: ComponentState) -> bool:
    """Tell whether how the process ends or ended says nothing: it is not over yet, or we ended it."""
    match component.process:
        case ProcessAbsent(ended_for=reason):
            return bool(reason) and component.gave_up_at is None
        case ProcessRunning(is_dying=is_dying):
            return is_dying
        case _:
            return False


def _degraded(state: State, finding: Finding) -> dict[ComponentId, Cause]:
    """Return the causes of low health without a failed member: the probes that warn."""
    return {
        member.id: Cause(
            CauseCode.PROBE_FAILING,
            member.id,
            f"it works with warnings; {finding.text}",
            _probe_evidence(member),
        )
        for member in state.members(finding.service)
        if any(
            seen.last is not None and seen.last.outcome is Outcome.DEGRADED for seen in member.probes.values()
        )
    }


def root_of(state: State, service: ServiceName) -> ServiceName | None:
    """Return the deepest dependency of `service` that does not serve; None if all serve."""
    root = None
    missing = waits_for(state, service)
    while missing:
        root = missing[0]
        missing = waits_for(state, root)
    return root


def _name(state: State, component: ComponentState, now: Instant) -> Cause:
    root = root_of(state, service_of(component.id))
    if root is not None:
        return Cause(
            CauseCode.DEPENDENCY_DOWN,
            component.id,
            f"{root} does not serve, and {component.id} depends on it",
            (f"{root}: S = {state.services[root].health:.2f}", f"{component.id}: {component.reason}"),
            root,
        )
    if component.gave_up_at is not None:
        return _budget_spent(state, component)
    match component.process:
        case ProcessAbsent() as process:
            return _exited(state, component, process)
        case ProcessRunning(stopped_since=since) as process if since is not None:
            return Cause(
                CauseCode.PROCESS_HUNG,
                component.id,
                "its process was stopped by a signal and does nothing",
                (
                    f"process {process.incarnation.partition(':')[0]} is in state T",
                    *_probe_evidence(component),
                ),
            )
        case ProcessRunning() as process:
            if hung_balancer_at(state, component, process) is not None:
                return _silent(state, component, now)
            return _probing_failed(component, now)
        case _:
            return Cause(CauseCode.UNKNOWN, component.id, "no rule explains it", (component.reason,))


def _exited(state: State, component: ComponentState, process: ProcessAbsent) -> Cause:
    detail = process.exit.detail if process.exit else ""
    evidence = tuple(f"output: {line}" for line in detail.splitlines() if line.strip())
    if component.attempts:
        evidence = (f"{component.attempts} failures in a row", *evidence)
    if component.must_restart.startswith("its ") or _changed_lately(state, component):
        return Cause(
            CauseCode.CONFIGURATION_CHANGED,
            component.id,
            f"{component.reason} since its configuration changed; it has never been up with the present one",
            evidence,
        )
    return Cause(CauseCode.PROCESS_EXITED, component.id, component.reason or "its process is gone", evidence)


def _changed_lately(state: State, component: ComponentState) -> bool:
    # It was up with other settings and not once with these: the change is the likelier culprit than chance.
    return bool(component.up_digest) and component.up_digest != component.run_digest and state.surveyed_at > 0


def _budget_spent(state: State, component: ComponentState) -> Cause:
    member = member_policy(state, component.id)
    restart = state.policy.services[service_of(component.id)].restart
    evidence = [f"{restart.restarts_max} restarts within {show_duration(restart.window)} did not help"]
    if isinstance(component.process, ProcessAbsent) and component.process.exit:
        evidence += [f"output: {line}" for line in component.process.exit.detail.splitlines() if line.strip()]
    evidence.append(f"last: {component.reason}")
    if member is not None and member.run.command:
        evidence.append("command: " + " ".join(member.run.command))
    return Cause(
        CauseCode.RESTART_BUDGET_SPENT, component.id, "it fails again after each restart", tuple(evidence)
    )


def _silent(state: State, component: ComponentState, now: Instant) -> Cause:
    assert state.balancer_silence is not None
    silent = show_duration(now - state.balancer_silence.since)
    text = f"its process runs, but its runtime socket has not answered for {silent}"
    return Cause(CauseCode.PROCESS_HUNG, component.id, text, (component.reason, *_probe_evidence(component)))


def _probing_failed(component: ComponentState, now: Instant) -> Cause:
    failed = [
        (name, seen) for name, seen in component.probes.items() if seen.passed is False or seen.streak < 0
    ]
    if not failed:
        return Cause(CauseCode.UNKNOWN, component.id, "no rule explains it", (component.reason,))
    evidence = _probe_evidence(component)
    last = failed[0][1].last
    assert last is not None  # a failing streak has at least one answer
    if all(seen.last is not None and seen.last.failure is Failure.REFUSED for _, seen in failed):
        text = f"its process runs but nothing accepts connections ({last.detail})"
        return Cause(CauseCode.PORT_REFUSED, component.id, text, evidence)
    if last.failure in _HANGING and last.layer in (Layer.CONNECT, Layer.ANSWER):
        silent = (
            f" for {show_duration(now - since)}" if (since := failed[0][1].failing_from) is not None else ""
        )
        text = f"its process runs but has not answered{silent} ({last.detail})"
        return Cause(CauseCode.PROCESS_HUNG, component.id, text, evidence)
    return Cause(
        CauseCode.PROBE_FAILING, component.id, f"{failed[0][0]}: {last.detail or last.failure}", evidence
    )


def _probe_evidence(component: ComponentState) -> tuple[str, ...]:
    return tuple(_say(name, seen) for name, seen in component.probes.items() if seen.last is not None)


def _say(name: str, seen: ProbeState) -> str:
    assert seen.last is not None
    count = f"{abs(seen.streak)} in a row" if seen.streak else "last"
    return (
        f"probe {name}: {seen.last.outcome} at layer {seen.last.layer}, {count}: {seen.last.detail}".rstrip(
            ": "
        )
    )


def _flapping(component: ComponentState, finding: Finding) -> Cause:
    return Cause(
        CauseCode.UNKNOWN, component.id, f"it comes and goes: {finding.text}", (component.reason or "up now",)
    )
