"""Incidents as text: the list, and one of them with its whole timeline.

i-3  web  closed   2026-11-23 15:03:13
cause     process_exited: web/web-1 was killed by signal KILL
          - signal KILL, not sent by holdfast
times     detect 212ms   diagnose 18ms   fail over 385ms   to redundancy 2.48s
outage    403ms   S min 0.50

  15:03:13.000     0ms  counted from here
  15:03:13.212  +212ms  detected     web/web-1  the process was killed by signal KILL
"""

from collections.abc import Sequence

from holdfast.cli.painting import Paint, Tone
from holdfast.cli.table import Cell, Row, line, table, widths, wrap
from holdfast.cli.wall_clock import WallClock
from holdfast.model.incidents import Entry, Incident, Stage
from holdfast.model.time import Duration, Instant, show_duration
from holdfast.model.value import Value

_HEAD = ("INCIDENT", "WHEN", "SERVICE", "DETECT", "OUTAGE", "REDUNDANT", "S MIN", "CAUSE")
_TONES = {
    Stage.DETECTED: Tone.BAD,
    Stage.DIAGNOSED: Tone.PLAIN,
    Stage.FAILED_OVER: Tone.GOOD,
    Stage.ACTED: Tone.PLAIN,
    Stage.WITHHELD: Tone.WARN,
    Stage.RECOVERED: Tone.GOOD,
}


class Durations(Value, frozen=True):
    """How long the stations of an incident took. None: not reached, or not needed."""

    detect: Duration  # from where the incident's times count
    diagnose: Duration | None  # from detection
    failover: Duration | None  # from detection until a member serves again
    recover: Duration | None  # from detection until redundancy is back
    outage: Duration
    outage_is_open: bool


def durations_of(incident: Incident, now: Instant) -> Durations:
    """Return the incident's durations; what still lasts is counted up to `now`."""
    is_out = incident.is_open and incident.outage_from is not None and incident.failed_over_at is None
    running = now - incident.outage_from if is_out and incident.outage_from is not None else 0
    return Durations(
        detect=incident.opened_at - incident.fault_at,
        diagnose=_since(incident.opened_at, incident.diagnosed_at),
        failover=_since(incident.opened_at, incident.failed_over_at),
        recover=_since(incident.opened_at, incident.closed_at),
        outage=max(incident.outage, running),
        outage_is_open=is_out,
    )


def incident_list_text(incidents: Sequence[tuple[Incident, WallClock]], now: Instant, paint: Paint) -> str:
    """Return the table of incidents, newest first as given; at 80 columns the cause goes under its row.

    Each comes with its clock: the instants of two boots are not counted from the same moment.
    """
    if not incidents:
        return "no incidents\n"
    rows = [_row(incident, now, clock) for incident, clock in incidents]
    causes = [incident.cause.text if incident.cause else "not yet known" for incident, _ in incidents]
    wide = widths([_HEAD[:-1], *rows])
    if sum(wide) + 2 * len(wide) + max(map(len, causes)) <= paint.width:
        return _joined(table(_HEAD, [[*row, why] for row, why in zip(rows, causes, strict=True)], paint))
    lines = [line([Cell(text, Tone.QUIET) for text in _HEAD[:-1]], wide, paint)]
    for row, why in zip(rows, causes, strict=True):
        lines += [line(row, wide, paint), *wrap(why, paint, first=" " * 4)]
    return _joined(lines)


def incident_text(incident: Incident, now: Instant, clock: WallClock, paint: Paint) -> str:
    """Return everything about one incident."""
    state = paint("OPEN", Tone.BAD) if incident.is_open else paint("closed", Tone.GOOD)
    lines = [
        f"{paint(incident.id, Tone.STRONG)}  {incident.service}  {state}  {clock.day_and_time(incident.opened_at)}"
    ]
    lines += _cause(incident, paint)
    lines += wrap(_times(durations_of(incident, now)), paint, first="times     ")
    lines += wrap(_outage(incident, now), paint, first="outage    ")
    if incident.components:
        lines += wrap(", ".join(incident.components), paint, first="touched   ")
    return _joined([*lines, "", *timeline_lines(incident, clock, paint), *_not_done(incident, paint)])


def timeline_lines(incident: Incident, clock: WallClock, paint: Paint) -> list[str]:
    """Return the timeline, each line with its distance from where its times count."""
    rows: list[Row] = [
        (f"  {clock.time_of_day(incident.fault_at)}", Cell("   +0ms", Tone.QUIET), "counted from here")
    ]
    rows += [_entry(entry, incident, clock) for entry in incident.timeline]
    wide = widths([row[:4] for row in rows])
    start = sum(wide) + 2 * len(wide)
    lines = []
    for row in rows:
        text = row[4] if len(row) > 4 and isinstance(row[4], str) else ""
        if not text or start + len(text) <= paint.width:
            lines.append(line(row, [*wide, 0], paint))
            continue
        lines.append(line(row[:4], wide, paint))
        lines += wrap(text, paint, first=" " * (wide[0] + wide[1] + 4))
    return lines


def shown(duration: Duration | None, absent: str = "-") -> str:
    """Return a duration for people, or `absent`."""
    return absent if duration is None else show_duration(duration)


def entry_text(entry: Entry) -> str:
    """Return the entry's text without what its stage says already."""
    return entry.text.removeprefix("not done: ") if entry.stage is Stage.WITHHELD else entry.text


def not_done(incident: Incident) -> list[tuple[str, str]]:
    """Return what was not done, as subject and text: once for each rule, with how often, and its last reason."""
    told: dict[tuple[str, str], list[str]] = {}
    for entry in incident.timeline:
        if entry.stage is Stage.WITHHELD:
            what, _, why = entry_text(entry).partition(": ")
            told.setdefault((entry.subject, what), []).append(why)
    lines = []
    for (subject, what), reasons in told.items():
        often = f", {len(reasons)} times, last" if len(reasons) > 1 else ""
        lines.append((subject, what + often + (f": {reasons[-1]}" if reasons[-1] else "")))
    return lines


def _row(incident: Incident, now: Instant, clock: WallClock) -> list[Cell | str]:
    lasted = durations_of(incident, now)
    open_mark = Cell("open", Tone.BAD)
    return [
        incident.id,
        clock.day_and_time(incident.opened_at),
        incident.service,
        shown(lasted.detect),
        Cell(
            f"{shown(lasted.outage)}{'..' if lasted.outage_is_open else ''}",
            Tone.BAD if lasted.outage else Tone.PLAIN,
        ),
        open_mark if incident.is_open else shown(lasted.recover),
        f"{incident.health_min:.2f}",
    ]


def _entry(entry: Entry, incident: Incident, clock: WallClock) -> list[Cell | str]:
    after = f"+{show_duration(entry.at - incident.fault_at)}"
    return [
        f"  {clock.time_of_day(entry.at)}",
        f"{after:>7}",
        Cell(entry.stage.value, _TONES[entry.stage]),
        entry.subject,
        entry_text(entry),
    ]


def _cause(incident: Incident, paint: Paint) -> list[str]:
    if incident.cause is None:
        return ["cause     not yet known"]
    cause = incident.cause
    where = f" (root: {cause.root})" if cause.root else ""
    lines = wrap(f"{cause.code}{where}: {cause.text}", paint, first="cause     ")
    for item in cause.evidence:
        lines += wrap(item, paint, first="          - ")
    return lines


def _times(lasted: Durations) -> str:
    return (
        f"detect {shown(lasted.detect)}   diagnose {shown(lasted.diagnose)}   "
        f"fail over {shown(lasted.failover, 'not needed')}   to redundancy {shown(lasted.recover, 'not yet')}"
    )


def _outage(incident: Incident, now: Instant) -> str:
    lasted = durations_of(incident, now)
    if lasted.outage:
        text = show_duration(lasted.outage)
    elif incident.health_min > 0:
        text = "none: a member could serve all the time"
    else:
        text = "none counted: it had not served yet"
    return f"{text}{' and counting' if lasted.outage_is_open else ''}   S min {incident.health_min:.2f}"


def _not_done(incident: Incident, paint: Paint) -> list[str]:
    lines = ["", "not done, and why"] if (kept_back := not_done(incident)) else []
    for subject, text in kept_back:
        lines += wrap(f"{subject}  {text}", paint, first="  ", rest="    ")
    return lines


def _since(start: Instant, end: Instant | None) -> Duration | None:
    return None if end is None else max(end - start, 0)


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
