"""The one screen of `holdfast status`: what is wrong first, then every service and every component.

    shop   S 0.50 [======......]   below threshold 0.50   1 incident open: i-3
       COMPONENT  ROLE     STATUS  SINCE  PID   RESTARTS  CHECKS
     x web/web-1  standby  down    12s    -     1/5       0/1 http
         killed by KILL; restarting
     * web/web-2  primary  up      9s     4411  0/5       1/1

The first column says it without colour: `*` clients are sent to it, `o` it stands by, `~` a doubt or a drain,
`x` down, `?` not known, `-` stopped and meant to be.
"""

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.cli.painting import Paint, Tone
from holdfast.cli.rendering_hosts import cluster_banners, commit_lines, hosts_block, show
from holdfast.cli.standing import ComponentStanding, PauseStanding, ServiceStanding, Standing, Verdict
from holdfast.cli.table import Cell, bar, line, table, widths, wrap
from holdfast.model.standing import Status

_COMPONENT_HEAD = ("", "COMPONENT", "HOST", "ROLE", "STATUS", "SINCE", "PID", "RESTARTS", "CHECKS")
_ROLE = _COMPONENT_HEAD.index("ROLE")
_HOST = _COMPONENT_HEAD.index("HOST")
_SERVICE_HEAD = ("", "SERVICE", "MODE", "S", "", "UP", "ACTIVE", "EPOCH")

_TONES = {
    Status.UNKNOWN: Tone.WARN,
    Status.UP: Tone.GOOD,
    Status.SUSPECT: Tone.WARN,
    Status.DOWN: Tone.BAD,
    Status.DRAINING: Tone.WARN,
    Status.STOPPED: Tone.QUIET,
}
_VERDICTS = {
    Verdict.OK: ("ok, threshold", Tone.GOOD),
    Verdict.DEGRADED: ("degraded, threshold", Tone.WARN),
    Verdict.BELOW_THRESHOLD: ("below threshold", Tone.BAD),
}


def status_text(standing: Standing, paint: Paint, *, problem: str = "") -> str:
    """Return the whole screen; `problem` is what the agent itself needs an operator for."""
    lines = [_headline(standing, paint)]
    lines += [paint(piece, Tone.BAD) for piece in wrap(problem, paint, first="PROBLEM ")] if problem else []
    lines += cluster_banners(standing.cluster, paint) if standing.cluster is not None else []
    lines += _banners(standing, paint)
    if standing.cluster is not None:
        lines += ["", *hosts_block(standing.cluster, paint)]
    if not standing.services:
        lines += ["", "no services: the file names none yet"]
    if standing.services:
        lines += ["", *_services(standing.services, paint)]
    if standing.components:
        lines += ["", *_components(standing.components, paint)]
    if standing.cluster is not None and (told := commit_lines(standing.cluster, paint)):
        lines += ["", *told]
    for number, incident in enumerate(standing.incidents):
        text = f"{incident.cause or 'cause not yet known'}; open for {show(incident.since_seconds)}"
        lines += [""] if number == 0 else []
        lines += wrap(text, paint, first=f"{incident.id} {incident.service}: ", rest="  ")
    if standing.incidents:
        lines.append(paint(f"what happened and why: holdfast explain {standing.incidents[0].id}", Tone.QUIET))
    return "\n".join(lines) + "\n"


def nagios_text(standing: Standing) -> str:
    """Return the one line that a Nagios-style check prints, with its measurements after the bar."""
    word = {Verdict.OK: "OK", Verdict.DEGRADED: "WARNING", Verdict.BELOW_THRESHOLD: "CRITICAL"}[
        standing.verdict
    ]
    wrong = [f"{c.id} {c.status}" for c in standing.components if c.is_wanted and c.status is not Status.UP]
    wrong += [f"{s.name} not serving" for s in standing.services if not s.is_serving]
    wrong += _wrong_hosts(standing.cluster)
    told = f": {', '.join(wrong)}" if wrong else ""
    pause = " (paused)" if standing.pause or any(s.pause for s in standing.services) else ""
    measured = f"health={standing.health:.3f};;{standing.threshold:g};0;1 incidents={len(standing.incidents)}"
    if standing.cluster is not None:
        hosts = standing.cluster.hosts
        measured += f" hosts={sum(host.has_session for host in hosts)};;;0;{len(hosts)}"
    return f"HOLDFAST {word} {standing.system} S {standing.health:.2f}{pause}{told} | {measured}\n"


def _wrong_hosts(cluster: ClusterStatus | None) -> list[str]:
    if cluster is None:
        return []
    if not cluster.is_connected:
        return [f"{cluster.me} has no session with the coordinator"]
    wrong = [f"{host.name} has no session" for host in cluster.hosts if not host.has_session]
    return wrong + [
        f"{host.name} is silent" for host in cluster.hosts if host.has_session and host.reach == "lost"
    ]


def nagios_code(verdict: Verdict) -> int:
    """Return the exit code that Nagios-style checkers expect."""
    return {Verdict.OK: 0, Verdict.DEGRADED: 1, Verdict.BELOW_THRESHOLD: 2}[verdict]


def marker(component: ComponentStanding) -> str:
    """Return the one sign that says how the component stands."""
    signs = {Status.DOWN: "x", Status.UNKNOWN: "?", Status.STOPPED: "-"}
    if sign := signs.get(component.status):
        return sign
    if component.is_active:
        return "*"
    return "~" if component.status in (Status.SUSPECT, Status.DRAINING) else "o"


def _headline(standing: Standing, paint: Paint) -> str:
    word, tone = _VERDICTS[standing.verdict]
    parts = [
        f"{paint(standing.system, Tone.STRONG)}   S {standing.health:.2f} {bar(standing.health)}",
        paint(f"{word} {standing.threshold:.2f}", tone),
    ]
    if count := len(standing.incidents):
        names = ", ".join(incident.id for incident in standing.incidents[:3]) + (", ..." if count > 3 else "")
        parts.append(paint(f"{count} {'incident' if count == 1 else 'incidents'} open: {names}", Tone.BAD))
    return "   ".join(parts)


def _banners(standing: Standing, paint: Paint) -> list[str]:
    lines = []
    if standing.is_going_down:
        lines.append(paint("GOING DOWN: everything is being stopped, dependents first", Tone.WARN))
    if standing.pause is not None:
        lines += _pause(standing.pause, "", paint)
    for service in standing.services:
        if service.pause is not None:
            lines += _pause(service.pause, f" {service.name}", paint)
        if service.switchover:
            lines += wrap(service.switchover, paint, first=f"MOVING {service.name}: ")
        if service.waits_for:
            lines += wrap(f"for {', '.join(service.waits_for)}", paint, first=f"WAITING {service.name}: ")
        for text in service.drift:
            lines += [paint(piece, Tone.WARN) for piece in wrap(text, paint, first=f"DRIFT {service.name}: ")]
    return lines


def _pause(pause: PauseStanding, whom: str, paint: Paint) -> list[str]:
    text = (
        f'by {pause.by} until {pause.until} ({show(pause.left_seconds)} left): "{pause.why}"; '
        "failures are detected, not acted on"
    )
    return [paint(piece, Tone.WARN) for piece in wrap(text, paint, first=f"PAUSED{whom} ", rest="  ")]


def _services(services: tuple[ServiceStanding, ...], paint: Paint) -> list[str]:
    rows = []
    for service in services:
        is_below = service.health <= service.threshold
        tone = Tone.BAD if is_below else Tone.WARN if service.health < 1 else Tone.GOOD
        sign = "x" if not service.is_serving else "~" if service.health < 1 else " "
        active = ", ".join(service.active) if len(service.active) <= 2 else f"{len(service.active)} members"
        rows.append(
            (
                Cell(f" {sign}", tone),
                service.name,
                service.mode,
                Cell(f"{service.health:.2f}", tone),
                bar(service.health, 8),
                f"{service.up}/{service.wanted}",
                active or Cell(_no_one(service), Tone.BAD),
                str(service.epoch) if service.mode != "active-active" else "-",
            )
        )
    return table(_SERVICE_HEAD, rows, paint)


def _no_one(service: ServiceStanding) -> str:
    return "no one yet" if service.serving_seconds is None else f"no one for {show(service.serving_seconds)}"


def _components(components: tuple[ComponentStanding, ...], paint: Paint) -> list[str]:
    head = [Cell(text, Tone.QUIET) for text in _COMPONENT_HEAD]
    rows = [_cells(component) for component in components]
    if not any(component.role for component in components):
        for row in (head, *rows):
            del row[_ROLE]
    if not any(component.host for component in components):
        for row in (head, *rows):
            del row[_HOST]
    wide = widths([head, *rows])
    room = paint.width - sum(wide) - 2 * len(wide)
    reasons = [_reason(component) for component in components]
    is_beside = room >= max((len(reason) for reason in reasons), default=0) and any(reasons)
    if is_beside:
        head.append(Cell("REASON", Tone.QUIET))
        wide.append(0)
    lines = [line(head, wide, paint)]
    for row, reason in zip(rows, reasons, strict=True):
        lines.append(line([*row, reason] if is_beside else row, wide, paint))
        if reason and not is_beside:
            lines += wrap(reason, paint, first=" " * 6)
    return lines


def _cells(component: ComponentStanding) -> list[Cell]:
    tone = _TONES[component.status]
    spent = component.gave_up or component.restarts >= component.restarts_max > 0
    restarts = f"{component.restarts}/{component.restarts_max}" + (" gave up" if component.gave_up else "")
    if component.is_elsewhere:
        restarts = "-"  # only its own host knows
    return [
        Cell(f" {marker(component)}", tone),
        Cell(component.id),
        Cell(component.host or "-"),
        Cell(component.role or "-"),
        Cell(component.status.value, tone),
        Cell(show(component.since_seconds) if component.since_seconds is not None else "-"),
        Cell(str(component.pid) if component.pid is not None else "-"),
        Cell(restarts, Tone.BAD if spent else Tone.WARN if component.restarts else Tone.PLAIN),
        _check_cell(component),
    ]


def _check_cell(component: ComponentStanding) -> Cell:
    checks = component.checks
    if not checks:
        return Cell("-")
    passed = sum(check.passed is True for check in checks)
    failed = [check.name for check in checks if check.passed is False]
    text = f"{passed}/{len(checks)}" + (f" {', '.join(failed)}" if failed else "")
    return Cell(text, Tone.BAD if failed else Tone.PLAIN)


def _reason(component: ComponentStanding) -> str:
    parts = [component.reason] if component.reason and component.status is not Status.UP else []
    parts += [component.drain] if component.drain and component.drain not in parts else []
    parts += [f"{component.busy} under way"] if component.busy else []
    return "; ".join(parts)
