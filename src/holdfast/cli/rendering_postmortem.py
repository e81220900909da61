"""One incident as a Markdown page, for a wiki or a mail: the facts are filled in, the lessons are left to people."""

from holdfast.cli.painting import printable
from holdfast.cli.rendering_incident import durations_of, entry_text, not_done, shown
from holdfast.cli.wall_clock import WallClock
from holdfast.model.incidents import Incident
from holdfast.model.time import Instant


def postmortem_text(incident: Incident, now: Instant, clock: WallClock) -> str:
    """Return the page."""
    lasted = durations_of(incident, now)
    cause = incident.cause
    summary = cause.text if cause else "The cause is not known."
    ended = clock.iso(incident.closed_at) if incident.closed_at is not None else "not over yet"
    lines = [
        f"# Incident {incident.id}: {_inline(incident.service)}",
        "",
        f"{_inline(summary)}",
        "",
        "| | |",
        "|---|---|",
        f"| Detected | {clock.iso(incident.opened_at)} |",
        f"| Redundancy restored | {ended} |",
        f"| Cause | {f'`{cause.code}`' if cause else 'unknown'} |",
        f"| Outage | {shown(lasted.outage)}{' and counting' if lasted.outage_is_open else ''} |",
        f"| Time to detect (at most) | {shown(lasted.detect)} |",
        f"| Time to diagnose | {shown(lasted.diagnose)} |",
        f"| Time to fail over | {shown(lasted.failover, 'not needed')} |",
        f"| Time to redundancy | {shown(lasted.recover, 'not over yet')} |",
        f"| Lowest health S | {incident.health_min:.2f} |",
        f"| Touched | {', '.join(incident.components) or '-'} |",
        "",
    ]
    if cause and cause.evidence:
        lines += ["## Evidence", "", *(f"- {_inline(item)}" for item in cause.evidence), ""]
    lines += ["## Timeline", "", "| Time | After | Stage | Subject | |", "|---|---|---|---|---|"]
    lines += [
        f"| {clock.time_of_day(entry.at)} | +{shown(entry.at - incident.fault_at)} | {entry.stage} "
        f"| {_inline(entry.subject)} | {_inline(entry_text(entry))} |"
        for entry in incident.timeline
    ]
    if kept_back := not_done(incident):
        lines += ["", "## Not done, and why", ""]
        lines += [f"- {_inline(subject)}: {_inline(text)}" for subject, text in kept_back]
    lines += ["", "## What went well, what did not, what we change", "", "_To be written by people._", ""]
    return "\n".join(lines)


def _inline(text: str) -> str:
    # Text of components may hold anything: it must not break the table or become markup of the page.
    plain = printable(text).replace("\\", "\\\\")
    for sign in "|<>`*_[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
