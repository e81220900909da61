"""Every value that the journal writes reads back as it was."""

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.journal import codec
from holdfast.model.decisions import Decision
from holdfast.model.events import Command, Event
from holdfast.model.incidents import Incident
from holdfast.model.state import State
from tests.unit.journal.samples import values_of

BRIEF = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# The parameters come from the unions themselves: a member that is added later is covered at once.
@pytest.mark.parametrize("kind", typing.get_args(Event), ids=lambda kind: kind.__name__)
@BRIEF
@given(data=st.data())
def test_every_event_reads_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    event = data.draw(values_of(kind))
    back = codec.decode_event(codec.encode(event))
    assert back == event
    assert type(back) is kind


@pytest.mark.parametrize("kind", typing.get_args(Decision), ids=lambda kind: kind.__name__)
@BRIEF
@given(data=st.data())
def test_every_decision_reads_back_as_it_was(kind: Any, data: st.DataObject) -> None:
    decisions = (data.draw(values_of(kind)), data.draw(values_of(kind)))
    assert codec.decode_decisions(codec.encode(decisions)) == decisions


@pytest.mark.parametrize("kind", typing.get_args(Command), ids=lambda kind: kind.__name__)
@BRIEF
@given(data=st.data())
def test_every_command_reads_back_as_it_was_and_says_who(kind: Any, data: st.DataObject) -> None:
    command = data.draw(values_of(kind))
    back = codec.decode_command(codec.encode(command))
    assert back == command
    assert isinstance(back.by, str)


@BRIEF
@given(values_of(State))
def test_a_state_reads_back_as_it_was(state: State) -> None:
    assert codec.decode_state(codec.encode(state)) == state


@BRIEF
@given(values_of(Incident))
def test_an_incident_reads_back_as_it_was(incident: Incident) -> None:
    assert codec.decode_incident(codec.encode(incident)) == incident


def test_each_union_has_all_its_members_and_each_command_is_an_event() -> None:
    assert len(typing.get_args(Event)) >= 17
    assert len(typing.get_args(Decision)) >= 5
    assert set(typing.get_args(Command)) <= set(typing.get_args(Event))
    tags = [kind.__struct_config__.tag for kind in typing.get_args(Event)]
    assert len(set(tags)) == len(tags)


def test_an_event_of_a_newer_holdfast_is_undecodable() -> None:
    with pytest.raises(codec.UNDECODABLE):
        codec.decode_event('{"is":"CometSighted"}')


def test_fields_of_a_newer_holdfast_are_left_out() -> None:
    assert codec.decode_event('{"is":"Ticked","moon":"full"}') == codec.decode_event('{"is":"Ticked"}')


def test_text_that_is_no_unicode_is_unencodable() -> None:
    with pytest.raises(codec.UNENCODABLE):
        msgspec.json.encode("\udcff")
