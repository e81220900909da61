"""Who should hold a service's lease: the leader's choice between members on several hosts. Pure."""

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import HostName, MemberName, ServiceName
from holdfast.model.standing import Role, Status
from holdfast.model.tags import Tags
from holdfast.model.value import Value, replace


class Candidate(Value, frozen=True):
    """A member that could hold the lease, on a host that has a session."""

    member: MemberName
    host: HostName
    report: MemberReport
    is_heard: bool  # the leader hears its host's beats
    burden: int = 0  # how many leases its host holds already
    favour: int = 0  # how many of the preferred labels its host has
    tags: Tags = Tags()


class Choice(Value, frozen=True):
    """Who should hold the lease, and why; or why nobody new is chosen."""

    member: MemberName | None
    host: HostName | None
    why: str
    is_withheld: bool = False  # something speaks for a move, and there is nobody to move to


def is_fit(candidate: Candidate) -> bool:
    """Tell whether the member can be given the lease now."""
    return not candidate.report.unfit


def why_not(candidate: Candidate) -> str:
    """Return why the member is not given the lease unless an operator asks for that; empty: it may be."""
    reserved = "it is marked nofailover: it takes over only by `holdfast switchover --to`"
    return candidate.report.unfit or (reserved if candidate.tags.nofailover else "")


def beside(
    candidates: tuple[Candidate, ...], other: ServiceName, host: HostName | None
) -> tuple[Candidate, ...]:
    """Return the candidates as they are for a service that lives with the primary of `other`, which is on `host`.

    Nobody else is fit, and who holds the lease elsewhere should leave. While the other one has no primary nobody new is fit
    and nobody leaves: where it will be is not known.
    """
    return tuple(_beside(candidate, other, host) for candidate in candidates)


def _beside(candidate: Candidate, other: ServiceName, host: HostName | None) -> Candidate:
    if candidate.host == host:
        return candidate
    report = candidate.report
    why = f"the primary of {other} is on {host}" if host is not None else f"{other} has no primary"
    leaving = report.leaving or (why if host is not None else "")
    return replace(candidate, report=replace(report, unfit=report.unfit or why, leaving=leaving))


def best(candidates: tuple[Candidate, ...]) -> Candidate | None:
    """Return the best fit candidate; the first in the file's order among equals."""
    fit = [candidate for candidate in candidates if not why_not(candidate)]
    return min(fit, key=_rank, default=None)


def _rank(candidate: Candidate) -> tuple[bool, bool, int, int, bool, int, int, int, int]:
    is_doubted = candidate.report.status is Status.SUSPECT
    # Who tells no place streams, or has none to compare. Of those that stand still the furthest comes first: what it has, others lack.
    timeline, place = candidate.report.position
    stands_still = bool(timeline)
    wanted = candidate.report.score or 0
    comfort = (is_doubted, -wanted, -candidate.tags.priority, -candidate.favour, candidate.burden)
    return (not candidate.is_heard, stands_still, -timeline, -place, *comfort)


def _is_behind(chosen: Candidate, others: tuple[Candidate, ...]) -> bool:
    """Tell whether another fit member's log goes further: both stand still, or they would tell no position.

    One that serves tells its place coarsely, and all that the others have came from it.
    """
    own = chosen.report.position
    if chosen.report.role is Role.PRIMARY and not chosen.report.is_clear:
        return False
    return own != (0, 0) and any(o.report.position > own and is_fit(o) and o.is_heard for o in others)


def choose(
    candidates: tuple[Candidate, ...],
    holder: MemberName | None,
    assigned: MemberName | None,
    wish: MemberName | None,
    back_to: MemberName | None = None,
) -> Choice:
    """Return who should hold the lease.

    `holder` holds it now, `assigned` was chosen last, `wish` is who an operator wants, `back_to` who should have it
    whenever it is stable. Otherwise who holds it keeps it while it can serve: every move costs an outage.
    """
    by_name = {candidate.member: candidate for candidate in candidates}
    others = tuple(candidate for candidate in candidates if candidate.member != holder)
    wished = by_name.get(wish) if wish is not None else None
    if wished is not None and wished.member != holder and is_fit(wished):
        return Choice(wished.member, wished.host, "planned switchover")
    current = by_name.get(holder) if holder is not None else None
    if current is not None:
        first = by_name.get(back_to) if back_to is not None and back_to != holder else None
        if first is not None and not why_not(first) and first.report.is_stable and not current.report.leaving:
            return Choice(first.member, first.host, "the file asks for failback, and it is stable again")
        return _keep_or_move(current, others, by_name.get(assigned) if assigned is not None else None)
    chosen = by_name.get(assigned) if assigned is not None else None
    if (
        chosen is not None
        and not why_not(chosen)
        and not chosen.report.leaving
        and not _is_behind(chosen, others)
    ):
        return Choice(chosen.member, chosen.host, "")
    target = best(others)
    if target is None:
        why = "; ".join(f"{c.member} on {c.host}: {why_not(c)}" for c in candidates)
        return Choice(
            assigned,
            chosen.host if chosen else None,
            why or "no host of its members is there",
            is_withheld=True,
        )
    return Choice(target.member, target.host, "nobody holds it")


def _keep_or_move(current: Candidate, others: tuple[Candidate, ...], assigned: Candidate | None) -> Choice:
    if assigned is not None and assigned.member != current.member and is_fit(assigned):
        return Choice(assigned.member, assigned.host, "")  # a move is under way
    # One that does not serve and could not begin to, such as one that has just been started anew, holds nothing back.
    reason = current.report.leaving or (current.report.unfit if current.report.is_clear else "")
    if not reason:
        return Choice(current.member, current.host, "it holds the lease")
    target = best(others)
    if target is None:
        why = "; ".join(f"{c.member} on {c.host}: {why_not(c)}" for c in others) or "it has no other member"
        return Choice(current.member, current.host, f"{reason}; but {why}", is_withheld=True)
    return Choice(target.member, target.host, f"{current.member} on {current.host}: {reason}")
