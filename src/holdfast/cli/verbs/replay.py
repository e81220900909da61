"""`holdfast replay`: decide a journal's turns again and compare."""

from collections.abc import Iterator
from pathlib import Path

import click

from holdfast.cli.describing import describe_decision, describe_event
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.facts import JOURNAL
from holdfast.cli.place import find_directory, place_options
from holdfast.cli.printing import print_json
from holdfast.cli.replaying import GapError, Replayed, best_snapshot, replay_turns
from holdfast.cli.wall_clock import WallClock
from holdfast.journal.reading import JournalReader
from holdfast.journal.records import Snapshot
from holdfast.journal.refusing import JournalRefusedError
from holdfast.model.decisions import Decision


@click.command()
@click.argument("journal", required=False, type=click.Path(path_type=Path), metavar="[JOURNAL]")
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=1),
    help="Begin with this turn.  [default: the oldest that can be]",
)
@click.option("--to", "end", type=click.IntRange(min=1), help="End with this turn.  [default: the newest]")
@click.option("--show", is_flag=True, help="Print each turn: what happened, and what was decided.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: how many turns, and which differ.")
@place_options
def replay(journal: Path | None, start: int | None, end: int | None, *, show: bool, as_json: bool) -> None:
    """Decide a journal's turns again and compare.

    Reads only, and may run beside the agent: about ten thousand turns a second. Prints each turn whose
    decisions differ from those in the journal, and exits with 1 if there is any. JOURNAL is the file
    journal.sqlite of a state directory; without it, the agent's own. To only read what was decided
    and why, use `holdfast explain`.

    \b
    Examples:
      holdfast replay
      holdfast replay ./journal.sqlite --from 120 --to 180 --show
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if show and as_json:
        raise click.UsageError("--show is for people: leave out --json")
    path = journal if journal is not None else find_directory() / JOURNAL
    try:
        with JournalReader(path) as reader:
            snapshot = _snapshot(reader, start, path)
            turns = (record.turn for record in reader.turns(after=snapshot.sequence, until=end))
            count, different = 0, list[int]()
            for replayed in _asked(replay_turns(snapshot, turns), start):
                count += 1
                different += [] if replayed.is_equal else [replayed.turn.sequence]
                if not as_json:
                    _tell(replayed, show=show)
    except (JournalRefusedError, GapError) as refused:
        text = str(refused) if isinstance(refused, JournalRefusedError) else f"{path}: {refused}"
        raise Trouble(text) from refused
    if count == 0:
        raise Trouble(f"{path}: no turns there to decide again", ExitCode.FAILED)
    if as_json:
        print_json({"snapshot": snapshot.sequence, "turns": count, "different": different})
    else:
        verdict = f"{len(different)} decided differently" if different else "all decided the same"
        click.echo(f"{count} turns decided again from snapshot {snapshot.sequence}: {verdict}")
    if different:
        click.get_current_context().exit(int(ExitCode.FAILED))


def _asked(replayed: Iterator[Replayed], start: int | None) -> Iterator[Replayed]:
    """Leave out what lies between the snapshot and the first turn that was asked for."""
    return (one for one in replayed if start is None or one.turn.sequence >= start)


def _snapshot(reader: JournalReader, start: int | None, path: Path) -> Snapshot:
    snapshots = reader.snapshots()
    if not snapshots:
        raise Trouble(f"{path}: it holds no snapshot to begin from")
    oldest = min(snapshots, key=lambda snapshot: snapshot.sequence)
    if start is None:
        return oldest
    found = best_snapshot(snapshots, start)
    if found is None:
        hint = f"the oldest snapshot is of turn {oldest.sequence}: begin with --from {oldest.sequence + 1} or later"
        raise Trouble(f"turn {start} cannot be decided again", ExitCode.USAGE, hint=hint)
    return found


def _tell(replayed: Replayed, *, show: bool) -> None:
    if replayed.is_equal and not show:
        return
    turn = replayed.turn
    time = WallClock(replayed.state.wall_offset).time_of_day(turn.at)
    click.echo(f"{turn.sequence:>7}  {time}  {describe_event(turn.event)}")
    if replayed.is_equal:
        _tell_decisions("", turn.decisions)
        return
    _tell_decisions("journal: ", turn.decisions)
    _tell_decisions("now:     ", replayed.decided)


def _tell_decisions(whose: str, decisions: tuple[Decision, ...]) -> None:
    for decision in decisions:
        click.echo(f"           {whose}#{decision.id} {describe_decision(decision)}: {decision.why}")
    if whose and not decisions:
        click.echo(f"           {whose}nothing")
