"""A listener for reading in the file: what it becomes, and what is wrong with it."""

import pytest

from holdfast.model.policy import Purpose
from holdfast.model.reading import PrimaryReads, ReadingCheck, ReadPolicy
from holdfast.model.time import SECOND
from tests.unit.config.test_postgresql import MEMBERS, RUN
from tests.unit.config.test_several_hosts import several, wrong

DATABASE = f"db: {{ mode: active-standby, port: 5432, {MEMBERS}, {RUN}, traffic: {{ listen: 5000, protocol: tcp, %s }} }}"
PLAIN = (
    "web: { mode: %s, members: 2, port: 8081+, run: srv, traffic: { listen: 80, read_only: { listen: 81 } } }"
)


def test_a_listener_for_reading_has_limits_and_its_servers_are_asked_how_old_they_are() -> None:
    text = "read_only: { listen: 5001, lag_max: 2MB, delay_max: 3s, primary: never, prefer_local: true, cut_stale: true }"
    service = several(DATABASE % text).services["db"]
    assert service.traffic is not None
    assert service.traffic.read_only == ReadPolicy(
        "127.0.0.1", 5001, 2_000_000, 3 * SECOND, PrimaryReads.NEVER, prefer_local=True, cut_stale=True
    )
    for member in service.members:
        (reading,) = [probe for probe in member.probes if isinstance(probe.check, ReadingCheck)]
        assert reading.purpose is Purpose.READING


def test_servers_that_nobody_reads_from_are_not_asked_how_old_they_are() -> None:
    service = several(DATABASE % "retry: false").services["db"]
    assert all(probe.purpose is Purpose.LIVENESS for member in service.members for probe in member.probes)


@pytest.mark.parametrize(
    ("services", "said"),
    [
        (DATABASE % "read_only: { lag_max: 1MB }", "needs the key listen"),
        (DATABASE % "read_only: { listen: 5001, delay_max: 1s }", "must be from 2s to"),
        (DATABASE % "read_only: { listen: 5001, lag_max: 5 }", "must be a size"),
        (DATABASE % "read_only: { listen: 5001, primary: sometimes }", "last, never or always"),
        (DATABASE % "read_only: { listen: 5000 }", "read_only traffic of db and traffic of db"),
        (DATABASE % "read_only: { listen: '10.0.0.1:5001' }", "is an address of h1 alone"),
        (PLAIN % "active-active", "has read_only, which leads to standbys, and active-active has none"),
        (PLAIN % "singleton", "has read_only, which leads to standbys, and singleton has none"),
    ],
)
def test_each_mistake_is_told(services: str, said: str) -> None:
    assert said in "\n".join(wrong(services))
