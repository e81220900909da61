"""Cascading: a standby streams from another standby, so that the primary, or a thin line between two sites, feeds fewer.

Whom it follows stays the primary: at rest it streams from nobody, as ever. From the member that its tag names it streams only while
that one says that it streams from this very primary, under its lease; a deposed one's log must not come by that way. Otherwise it
streams from the primary itself.
"""

from holdfast.model.cluster import MemberReport
from holdfast.model.ids import ComponentId, MemberName, ServiceName, member_of, service_of
from holdfast.model.standing import Role
from holdfast.postgresql.asking import Standing
from holdfast.postgresql.books import Books
from holdfast.postgresql.comparing import is_running
from holdfast.postgresql.settings import Upstream


def via(component: ComponentId, books: Books) -> MemberName | None:
    """Return the member that a standby streams from in the primary's place; None: from the primary."""
    wanted = wanted_via(component, books)
    return wanted if wanted is not None and _is_on_way(books, component, wanted) else None


def wanted_via(component: ComponentId, books: Books) -> MemberName | None:
    """Return the member that its tag names."""
    tags = books.tags(service_of(component)).get(member_of(component))
    return tags.streams_from if tags is not None else None


def feeds_others(component: ComponentId, books: Books) -> bool:
    """Tell whether another member's tag names this one: then they have to know whether it streams."""
    return any(
        tags.streams_from == member_of(component) for tags in books.tags(service_of(component)).values()
    )


def streams_from(standing: Standing, *ways: Upstream | None) -> bool:
    """Tell whether it streams from one of these."""
    return standing.upstream in {f"{way.host}:{way.port}" for way in ways if way is not None}


def fed_elsewhere(component: ComponentId, books: Books) -> dict[MemberName, Upstream]:
    """Return who may stream from another standby now, with where that one is reached: the primary sees nothing of them itself."""
    service = service_of(component)
    found: dict[MemberName, Upstream] = {}
    for name, tags in books.tags(service).items():
        if tags.streams_from is None or name == member_of(component):
            continue
        at = books.place(service, tags.streams_from)
        report = books.others(component).get(tags.streams_from)
        if at is not None and report is not None and _is_standby(report) and report.streams_under:
            found[name] = at
    return found


def _is_on_way(books: Books, component: ComponentId, name: MemberName) -> bool:
    service: ServiceName = service_of(component)
    report, under = books.others(component).get(name), books.primary_under(service)
    return report is not None and _is_standby(report) and bool(under) and report.streams_under == under


def _is_standby(report: MemberReport) -> bool:
    return report.role is Role.STANDBY and is_running(report)
