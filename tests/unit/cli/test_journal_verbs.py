"""What is told from a real journal when no agent runs, and deciding its turns again."""

import json
from pathlib import Path

import pytest

from holdfast.cli import facts
from holdfast.journal import SqliteJournal
from holdfast.loop.reconcile import reconcile
from holdfast.model.decisions import Start
from holdfast.model.digests import run_digest
from holdfast.model.events import (
    AgentStarted,
    Ending,
    Event,
    Exit,
    Finished,
    PolicyChanged,
    ProcessExited,
    Surveyed,
    Ticked,
)
from holdfast.model.policy import Policy
from holdfast.model.state import State
from holdfast.model.time import SECOND
from tests.unit.cli import worlds
from tests.unit.cli.calling import Call


def remember(path: Path) -> State:
    """Write the journal of a short life: started, both members up, web-1 killed and started again."""
    journal = SqliteJournal(path, wall=lambda: worlds.OFFSET + worlds.NOW)
    policy = worlds.policy()
    digests = {f"web/{member.name}": run_digest(member.run) for member in policy.services["web"].members}
    state = State(policy=Policy(system="shop", services={}))
    at = worlds.NOW
    pids = iter(range(5000, 6000))
    waiting: list[Event] = [
        AgentStarted("b00t", "0.1.0", worlds.OFFSET, 7),
        PolicyChanged(policy, digests),
        Surveyed(at + 2 * SECOND, ()),
    ]
    killed = False
    for _ in range(40):
        at += SECOND
        event = waiting.pop(0) if waiting else Ticked()
        before = state
        state, decisions = reconcile(before, event, at)
        journal.append(at, event, decisions, before, state)
        for decision in decisions:
            incarnation = f"{next(pids)}:1" if isinstance(decision, Start) else None
            waiting.append(Finished(decision.id, Ending.DONE, incarnation=incarnation))
        if not waiting and not killed:
            killed = True
            waiting.append(ProcessExited("web/web-1", "5000:1", Exit(signal="KILL")))
    journal.flush()
    journal.close()
    return state


@pytest.fixture
def journal(folder: Path) -> Path:
    path = folder / "agent" / facts.JOURNAL
    remember(path)
    return path


def test_the_journal_is_called_as_the_agent_calls_it() -> None:
    agent = Path(facts.__file__).parents[1] / "agent" / "agent.py"
    assert f'JOURNAL = "{facts.JOURNAL}"' in agent.read_text()


def test_a_journal_played_to_its_end_gives_the_state_that_the_agent_had(folder: Path) -> None:
    state = remember(folder / "agent" / facts.JOURNAL)
    known = facts.from_journal(folder / "agent" / facts.JOURNAL)
    assert known.state == state
    assert known.age is not None


def test_explain_works_without_an_agent_and_says_how_old_it_is(call: Call, journal: Path) -> None:
    result = call("explain", "web", "--directory", str(journal.parent))
    assert result.exit_code == 0, result.output
    assert "No agent runs. This is what its journal last knew" in result.output
    assert "start web/web-1" in result.output


def test_incidents_are_listed_without_an_agent(call: Call, journal: Path) -> None:
    result = call("incidents", "--directory", str(journal.parent))
    assert result.exit_code == 0, result.output


def test_a_journal_decides_the_same_again(call: Call, journal: Path) -> None:
    result = call("replay", str(journal))
    assert result.exit_code == 0, result.output
    assert "all decided the same" in result.output


def test_replay_shows_turns_and_keeps_to_the_range(call: Call, journal: Path) -> None:
    whole = call("replay", str(journal), "--show").output
    assert "policy 4f1c: 1 services" in whole
    assert "start web/web-1" in whole
    part = call("replay", str(journal), "--from", "5", "--to", "9", "--show").output
    assert "5 turns decided again" in part
    assert " 4  " not in part


def test_replay_speaks_json(call: Call, journal: Path) -> None:
    told = json.loads(call("replay", str(journal), "--from", "5", "--to", "9", "--json").output)
    assert (told["turns"], told["different"]) == (5, [])
    assert call("replay", str(journal), "--json", "--show").exit_code == 2


def test_replay_tells_what_is_decided_differently(
    call: Call,
    journal: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Another core than the one that wrote the journal: it never decides anything.
    monkeypatch.setattr(
        "holdfast.cli.replaying.reconcile", lambda state, event, at: (reconcile(state, event, at)[0], ())
    )
    result = call("replay", str(journal))
    assert result.exit_code == 1
    assert "decided differently" in result.output
    assert "now:     nothing" in result.output


def test_replay_of_no_journal_says_so(call: Call, folder: Path) -> None:
    result = call("replay", str(folder / "none.sqlite"))
    assert result.exit_code == 1
    assert "no such journal" in result.output
