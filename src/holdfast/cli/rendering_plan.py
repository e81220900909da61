"""A plan as text: what the file would change, in order, then what it leaves weak."""

from holdfast.cli.painting import Paint, Tone
from holdfast.cli.table import wrap
from holdfast.config.planning import Change, ChangeKind, Plan
from holdfast.config.weaknesses import Weakness

_SIGNS = {
    ChangeKind.REMOVED: ("-", Tone.BAD),
    ChangeKind.ADDED: ("+", Tone.GOOD),
    ChangeKind.RESTARTED: ("!", Tone.WARN),
    ChangeKind.REROUTED: (">", Tone.PLAIN),
    ChangeKind.REPROBED: ("?", Tone.PLAIN),
    ChangeKind.ADJUSTED: ("~", Tone.PLAIN),
}


def plan_text(plan: Plan, against: str, paint: Paint) -> str:
    """Return the plan; `against` says what the file is compared with."""
    lines = [f"compared with {against}", ""]
    lines += [piece for change in plan.changes for piece in _change(change, paint)] or ["  no changes"]
    if plan.changes:
        lines += ["", *wrap(_summary(plan), paint)]
    if plan.weaknesses:
        lines += ["", paint("what the file leaves weak", Tone.STRONG)]
        lines += [piece for weakness in plan.weaknesses for piece in _weakness(weakness, paint)]
    return "\n".join(lines) + "\n"


def _change(change: Change, paint: Paint) -> list[str]:
    sign, tone = _SIGNS[change.kind]
    return [paint(piece, tone) for piece in wrap(change.text, paint, first=f"  {sign} ")]


def _summary(plan: Plan) -> str:
    counts = {kind: sum(change.kind is kind for change in plan.changes) for kind in ChangeKind}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _weakness(weakness: Weakness, paint: Paint) -> list[str]:
    lines = wrap(f"{weakness.subject}: {weakness.text} ({weakness.code})", paint, first="  * ")
    return lines + wrap(weakness.advice, paint, first="    help: ")
