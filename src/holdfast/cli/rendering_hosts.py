"""The hosts of a cluster on a screen: who takes part, who leads, who holds which lease, and what needs a person.

     HOST  ADDRESS   SESSION  HEARD       LEADS  REVISION  LEASES
     h1    10.0.0.1  yes      here        leads  4f1c      db
   x h2    10.0.0.2  no       lost 12s    -      9a2b !    -

The first column says it without colour: `x` does not take part, `~` doubted. A revision with `!` is not the one that
runs here.
"""

import re

from holdfast.agent.cluster_status import ClusterStatus, HostStatus, LeaseStatus
from holdfast.cli.painting import Paint, Tone
from holdfast.cli.table import Cell, Row, line, widths, wrap
from holdfast.cli.wall_clock import WallClock
from holdfast.loop.cluster.state import Note
from holdfast.model.time import SECOND, Instant, show_duration

_HEAD = ("", "HOST", "ADDRESS", "SESSION", "HEARD", "LEADS", "REVISION", "LEASES")
_LEASES_NAMED = 2
_TONES = {"info": Tone.PLAIN, "warn": Tone.WARN, "error": Tone.BAD}
# What to look at when heartbeats are refused, by the words of `holdfast.beating.refusing`.
_LOOK_AT = {
    "bad seal": "do all hosts have the same cluster.secret?",
    "stranger": "do all hosts have the same hosts in their file?",
    "other system": "another system's agents beat at this address: give one of them another cluster.port",
    "foreign": "is everything that sends to cluster.port an agent, and of this version?",
}
_NORMAL = frozenset({"unproven", "repeated", "stale"})  # some of them come with each start of an agent


def show(seconds: float) -> str:
    """Return a number of seconds for people."""
    return show_duration(round(seconds * SECOND)) if seconds < 10 else show_duration(round(seconds) * SECOND)


def cluster_banners(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return what an operator should know before reading on."""
    found: list[tuple[str, str, Tone]] = []
    if not cluster.is_connected:
        text = "this host has no session with the coordinator: it takes no role over, and learns of none"
        found.append(("NO SESSION ", text, Tone.BAD))
    elif not cluster.is_current:
        text = (
            "what stands in the coordinator is not being watched at the moment: hosts and leases may be old"
        )
        found.append(("NOT CURRENT ", text, Tone.WARN))
    elif not any(host.leads for host in cluster.hosts):
        found.append(("NO LEADER ", "no host leads at present: nothing is moved between hosts", Tone.WARN))
    if cluster.problem:
        found.append(("PROBLEM ", cluster.problem, Tone.BAD))
    if cluster.policy_waiting:
        found.append(("POLICY ", cluster.policy_waiting, Tone.WARN))
    found += [(f"HOLDING {lease.service}: ", _by_promise(lease), Tone.WARN) for lease in _held(cluster)]
    found += [(f"ALONE {lease.service}: ", _alone(lease), Tone.WARN) for lease in _unfollowed(cluster)]
    found += [(f"WITHHELD {subject}: ", why, Tone.WARN) for subject, why in cluster.withheld.items()]
    if refused := refused_beats(cluster):
        found.append(("BEATS ", refused, Tone.WARN))
    return [paint(piece, tone) for first, text, tone in found for piece in wrap(text, paint, first=first)]


def _held(cluster: ClusterStatus) -> list[LeaseStatus]:
    """Return the leases that are held by promise: without one they could not be held while nothing is renewed."""
    return [lease for lease in cluster.leases if lease.promised_by]


def _by_promise(lease: LeaseStatus) -> str:
    words = ", ".join(f"{host} ({show(left)} left)" for host, left in lease.promised_by.items())
    return f"it serves on, by promise not to take over of {words}"


def _unfollowed(cluster: ClusterStatus) -> list[LeaseStatus]:
    """Return the leases of databases that were promised standbys which have everything, and have none."""
    return [lease for lease in cluster.leases if lease.record is not None and not lease.record.voters]


def _alone(lease: LeaseStatus) -> str:
    assert lease.record is not None
    return "; ".join(word for word in (lease.commits, lease.record.words) if word)


def commit_lines(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return for whom commits of each database wait, and who may be promoted; where nobody may, a banner says so."""
    return [
        piece
        for lease in cluster.leases
        if lease.record is not None and lease.record.voters
        for piece in wrap(
            "; ".join((lease.commits or "commits: not known", lease.record.words)),
            paint,
            first=f"{lease.service}: ",
            rest="  ",
        )
    ]


def refused_beats(cluster: ClusterStatus) -> str:
    """Return what is told of refused heartbeats while a host is not heard; empty if all are, or none was refused."""
    unheard = [host.name for host in cluster.hosts if not host.is_me and host.reach != "heard"]
    odd = {why: count for why, count in cluster.refused_beats.items() if why not in _NORMAL}
    if not unheard or not odd:
        return ""
    counts = ", ".join(f"{count} {why}" for why, count in odd.items())
    hints = [_LOOK_AT[why] for why in odd if why in _LOOK_AT]
    return "; ".join([f"{', '.join(unheard)} not heard, and heartbeats are refused: {counts}", *hints])


def refused_line(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return how many heartbeats were refused, and why; nothing if none was."""
    counts = ", ".join(f"{count} {why}" for why, count in cluster.refused_beats.items())
    return (
        wrap(counts, paint, first="heartbeats refused since the agent started: ", rest="  ") if counts else []
    )


def hosts_block(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return the table of hosts; what is wrong with one stands below it."""
    ours = next((host.revision for host in cluster.hosts if host.is_me), "")
    head: Row = [Cell(text, Tone.QUIET) for text in _HEAD]
    rows = [_cells(host, cluster, ours) for host in cluster.hosts]
    wide = widths([head, *rows])
    lines = [line(head, wide, paint)]
    for host, row in zip(cluster.hosts, rows, strict=True):
        lines.append(line(row, wide, paint))
        if host.problem:
            lines += wrap(host.problem, paint, first=" " * 6)
    return lines


def _cells(host: HostStatus, cluster: ClusterStatus, ours: str) -> list[Cell]:
    sign, tone = _sign(host, is_current=cluster.is_current)
    session = ("yes" if host.has_session else "no") if cluster.is_current else "?"
    differs = bool(host.revision) and host.revision != ours
    return [
        Cell(f" {sign}", tone),
        Cell(host.name),
        Cell(host.address),
        Cell(session, Tone.PLAIN if host.has_session else Tone.BAD),
        Cell(heard(host), tone),
        Cell("leads" if host.leads else "-"),
        Cell((host.revision or "-") + (" !" if differs else ""), Tone.WARN if differs else Tone.PLAIN),
        Cell(_named(host)),
    ]


def _sign(host: HostStatus, *, is_current: bool) -> tuple[str, Tone]:
    if host.reach == "lost" or (is_current and not host.has_session):
        return "x", Tone.BAD
    return ("~", Tone.WARN) if host.reach in ("suspect", "unknown") else (" ", Tone.PLAIN)


def heard(host: HostStatus) -> str:
    """Return how well the host is heard here, and since when not."""
    if host.is_me:
        return "here"
    if host.silent_s is None:
        return "never"
    if host.reach == "heard":
        return "heard"  # for how long it is silent changes with each beat, and says nothing then
    return f"{host.reach} {show(host.silent_s)}"


def _named(host: HostStatus) -> str:
    if len(host.leases) > _LEASES_NAMED:
        return f"{len(host.leases)} services"
    return ", ".join(host.leases) or "-"


def leases_block(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return who holds which lease, and who should and why."""
    lines: list[str] = []
    for one in cluster.leases:
        lines += lease_lines(one, paint)
    return lines or ["no service is exclusive: there are no leases"]


def lease_lines(one: LeaseStatus, paint: Paint) -> list[str]:
    """Return what is known of one lease."""
    lease, assignment = one.lease, one.assignment
    held = f"{lease.member} on {lease.host}, lease epoch {lease.epoch}" if lease is not None else "nobody"
    left = f", {show(one.left_s)} left" if one.left_s is not None else ""
    lines = wrap(f"held by {held}{left}", paint, first=f"  {one.service}  ", rest="    ")
    if assignment is None:
        lines += wrap("nobody yet", paint, first="    assigned  ")
    else:
        to = f"{assignment.holder} on {assignment.host}" if assignment.holder else "nobody"
        why = f": {assignment.why}" if assignment.why else ""
        lines += wrap(
            f"{to}{why} (by the leader of epoch {assignment.leader_epoch})", paint, first="    assigned  "
        )
    if one.commits:
        lines += wrap(one.commits, paint, first="    commits   ")
    if one.record is not None:
        lines += wrap(one.record.words, paint, first="    record    ")
    for member, note in one.member_notes.items():
        lines += wrap(f"{member}: {note}", paint, first="    note      ")
    if one.promised_by:
        lines += wrap(_by_promise(one), paint, first="    promised  ")
    if one.withheld:
        lines += wrap(one.withheld, paint, first="    withheld  ")
    return lines


def placed_block(cluster: ClusterStatus, paint: Paint) -> list[str]:
    """Return where the leader placed the members that the file binds to no host."""
    lines: list[str] = []
    for one in cluster.assignments:
        if one.placed:
            where = ", ".join(f"{member} on {host}" for member, host in one.placed.items())
            lines += wrap(where, paint, first=f"  {one.service}  ", rest="    ")
    return lines


def notes_block(
    cluster: ClusterStatus, now: Instant, clock: WallClock, paint: Paint, *, about: str = "", newest: int = 15
) -> list[str]:
    """Return the newest notes, newest first: all of them, or those about one subject."""
    notes = [note for note in cluster.notes if not about or concerns(note, about)]
    lines: list[str] = []
    for note in reversed(notes[-newest:]):
        age = show(max(now - note.at, 0) / SECOND)
        text = f"{note.subject} {note.word}: {note.text} ({age} ago)"
        told = wrap(text, paint, first=f"  {clock.time_of_day(note.at)}  ", rest="      ")
        lines += [paint(piece, _TONES.get(note.level, Tone.PLAIN)) for piece in told]
    return lines or ["  nothing was noted"]


def concerns(note: Note, about: str) -> bool:
    """Tell whether a note is about a host, or about a service or a member of it."""
    words = re.split(r"[\s,;:]+", f"{note.subject} {note.text}")
    return any(about in (word, word.partition("/")[0]) for word in words)
