"""Incidents: the list, one of them, and its page for people."""

from holdfast.cli.painting import Paint
from holdfast.cli.rendering_incident import durations_of, incident_list_text, incident_text
from holdfast.cli.rendering_postmortem import postmortem_text
from holdfast.model.findings import Cause, CauseCode
from holdfast.model.time import MILLISECOND, SECOND
from holdfast.model.value import replace
from tests.unit.cli import worlds
from tests.unit.cli.goldens import assert_golden

NARROW, WIDE = Paint(width=80), Paint(width=130)


def test_the_list_is() -> None:
    found = [worlds.open_incident(), replace(worlds.closed_incident(), id="i-2")]
    incidents = [(incident, worlds.CLOCK) for incident in found]
    assert_golden("incidents", incident_list_text(incidents, worlds.NOW, NARROW))
    assert_golden("incidents-wide", incident_list_text(incidents, worlds.NOW, WIDE))


def test_an_empty_list_says_so() -> None:
    assert incident_list_text([], worlds.NOW, NARROW) == "no incidents\n"


def test_one_incident_is_told_in_full() -> None:
    for name, incident in (("open", worlds.open_incident()), ("closed", worlds.closed_incident())):
        text = incident_text(incident, worlds.NOW, worlds.CLOCK, NARROW)
        assert_golden(f"incident-{name}", text)
        assert max(map(len, text.splitlines())) <= 80


def test_an_incident_without_a_cause_says_that_it_is_not_yet_known() -> None:
    unknown = replace(worlds.open_incident(), cause=None, diagnosed_at=None, timeline=())
    assert "cause     not yet known" in incident_text(unknown, worlds.NOW, worlds.CLOCK, NARROW)


def test_the_durations_are_counted_from_the_right_ends() -> None:
    lasted = durations_of(worlds.closed_incident(), worlds.NOW)
    assert lasted.detect == 212 * MILLISECOND
    assert lasted.diagnose == 18 * MILLISECOND
    assert lasted.failover == 403 * MILLISECOND
    assert lasted.recover == 2268 * MILLISECOND
    assert lasted.outage == 403 * MILLISECOND
    assert not lasted.outage_is_open


def test_an_outage_that_lasts_is_counted_up_to_now() -> None:
    out = replace(worlds.open_incident(), failed_over_at=None, outage=0)
    lasted = durations_of(out, worlds.NOW)
    assert lasted.outage_is_open
    assert lasted.outage == 12 * SECOND - 212 * MILLISECOND
    assert "and counting" in incident_text(out, worlds.NOW, worlds.CLOCK, NARROW)


def test_the_post_mortem_is() -> None:
    assert_golden("post-mortem", postmortem_text(worlds.closed_incident(), worlds.NOW, worlds.CLOCK))


def test_text_of_components_cannot_become_markup_of_the_page() -> None:
    cause = Cause(CauseCode.UNKNOWN, None, "a | b <script> [x](y)\n# head", ("`code` *bold*",))
    page = postmortem_text(replace(worlds.open_incident(), cause=cause), worlds.NOW, worlds.CLOCK)
    assert "a \\| b \\<script\\> \\[x\\](y) # head" in page
    assert "- \\`code\\` \\*bold\\*" in page
