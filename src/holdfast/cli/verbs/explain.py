"""`holdfast explain`: why something is so, or why something was not done."""

import click

from holdfast.agent.cluster_status import ClusterStatus
from holdfast.cli import explaining, facts
from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.explaining import (
    AboutComponent,
    AboutDecision,
    AboutElsewhere,
    AboutHost,
    AboutIncident,
    AboutService,
)
from holdfast.cli.facts import Facts
from holdfast.cli.painting import Paint, Tone, terminal_paint
from holdfast.cli.place import agent_options
from holdfast.cli.printing import print_json
from holdfast.cli.rendering_cluster import elsewhere_text, host_of, host_text, lease_text
from holdfast.cli.rendering_explain import (
    component_text,
    decision_text,
    decisions_text,
    held_text,
    service_text,
    why_not_text,
)
from holdfast.cli.rendering_hosts import concerns, notes_block
from holdfast.cli.rendering_incident import incident_text
from holdfast.cli.why_not import WhyNot, why_not_failover, why_not_restart
from holdfast.cli.why_not_moved import why_not_moved
from holdfast.model.time import show_duration


@click.command()
@click.argument("subject", metavar="SERVICE|COMPONENT|HOST|INCIDENT|DECISION")
@click.option(
    "--why-not",
    type=click.Choice(["failover", "restart"]),
    help="Say, rule by rule, why this is not done to SUBJECT now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@agent_options
def explain(subject: str, why_not: str | None, *, as_json: bool) -> None:
    """Say why something is so, or why something was not done.

    SUBJECT is a service (web), a component (web/web-1, or web-1 where that is clear), a host of the
    cluster, an incident (i-3) or the number of a decision (41). Told are the facts, the last decisions with their reasons,
    what is being withheld by which rule, and what would change that. Works from the journal when the
    agent is down, and then says how old it is. Of a service on several hosts it tells who holds the lease,
    who should and why; of another host's member what that host says. For the big picture use
    `holdfast status`.

    \b
    Examples:
      holdfast explain web
      holdfast explain web/web-1
      holdfast explain h2
      holdfast explain i-3
      holdfast explain 41
      holdfast explain web --why-not failover
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    known = facts.gather()
    hosts = [host.name for host in known.cluster.hosts] if known.cluster is not None else []
    about = explaining.about(subject, known.state, hosts)
    if about is None:
        names = ", ".join(explaining.known_names(known.state, hosts)) or "nothing"
        hint = f"known: {names}; incidents as i-3, decisions as 41"
        raise Trouble(f"there is nothing called {subject!r}", ExitCode.USAGE, hint=hint)
    paint = terminal_paint()
    if why_not is not None:
        answer = _why_not(why_not, about, known)
        if as_json:
            print_json(answer)
            return
        lines = why_not_text(answer, paint)
    elif isinstance(about, AboutIncident):
        _explain_incident(about, known, paint, as_json=as_json)
        return
    elif as_json:
        print_json(_everything(about, known))
        return
    else:
        lines = _explain(about, known, paint)
    click.echo("\n".join([*_age(known), *lines]))


def _why_not(action: str, about: explaining.About, known: Facts) -> WhyNot:
    if action == "failover":
        if not isinstance(about, AboutService):
            raise click.UsageError("a failover is of a service: holdfast explain SERVICE --why-not failover")
        if known.cluster is not None and known.state.policy.services[about.service].is_leased:
            return why_not_moved(known.state, about.service, known.cluster, known.now)
        return why_not_failover(known.state, about.service, known.now)
    if isinstance(about, AboutElsewhere):
        host = host_of(known.state, about.component, known.cluster)
        hint = f"holdfast --host {host} explain {about.component} --why-not restart" if host else ""
        raise Trouble(f"{about.component} is restarted by its own host", ExitCode.USAGE, hint=hint)
    if not isinstance(about, AboutComponent):
        raise click.UsageError(
            "a restart is of a component: holdfast explain SERVICE/MEMBER --why-not restart"
        )
    return why_not_restart(known.state, about.component, known.now)


def _explain(about: explaining.About, known: Facts, paint: Paint) -> list[str]:
    state, now, clock = known.state, known.now, known.clock
    taken = explaining.taken_in(known.turns)
    chosen = explaining.concerning(taken, about)
    if isinstance(about, AboutDecision):
        if not chosen:
            hint = f"the journal's newest {len(known.turns)} turns hold {_range(taken)}"
            raise Trouble(f"decision {about.decision} is not among the last ones", ExitCode.USAGE, hint=hint)
        return decision_text(chosen[0], now, clock, paint)
    if isinstance(about, AboutHost):
        assert known.cluster is not None
        return [*host_text(state, about.host, known.cluster, paint), *_notes(about.host, known, paint)]
    if isinstance(about, AboutElsewhere):
        lines = elsewhere_text(state, about.component, known.cluster, paint)
        return [*lines, *_notes(about.component.partition("/")[0], known, paint)]
    if isinstance(about, AboutComponent):
        lines = component_text(state, state.components[about.component], now, clock, paint)
        subject = about.component.partition("/")[0]
    else:
        assert isinstance(about, AboutService)
        lines = service_text(state, about.service, now, clock, paint)
        subject = about.service
    if known.cluster is not None:
        lines += lease_text(known.cluster, subject, paint)
    lines += ["", *held_text(explaining.held_of(state, about), paint)]
    return [*lines, "", *decisions_text(chosen, now, clock, paint), *_notes(subject, known, paint)]


def _notes(subject: str, known: Facts, paint: Paint) -> list[str]:
    """Return what the cluster noted about it; nothing of one host."""
    if known.cluster is None:
        return []
    notes = notes_block(known.cluster, known.now, known.clock, paint, about=subject, newest=8)
    return ["", paint("what the cluster noted about it, newest first", Tone.STRONG), *notes]


def _explain_incident(about: AboutIncident, known: Facts, paint: Paint, *, as_json: bool) -> None:
    record = facts.find_incident(about.incident)
    if record is None:
        raise Trouble(
            f"there is no incident {about.incident}", ExitCode.USAGE, hint="holdfast incidents lists them"
        )
    if as_json:
        print_json(record)
        return
    text = incident_text(record.incident, known.now, facts.clock_of(record), paint)
    click.echo("\n".join([*_age(known), text]), nl=False)


def _everything(about: explaining.About, known: Facts) -> dict[str, object]:
    state = known.state
    found: dict[str, object] = {
        "about": about,
        "at": known.clock.iso(known.now),
        "decisions": explaining.concerning(explaining.taken_in(known.turns), about),
        "withheld": explaining.held_of(state, about),
    }
    if known.cluster is not None:
        found |= _of_cluster(about, known.cluster)
    if isinstance(about, AboutElsewhere):
        found["component"] = state.elsewhere.get(about.component)
    if isinstance(about, AboutComponent):
        found["component"] = state.components[about.component]
    if isinstance(about, AboutService):
        found["service"] = state.services[about.service]
        found["members"] = state.members(about.service)
    return found


def _of_cluster(about: explaining.About, cluster: ClusterStatus) -> dict[str, object]:
    match about:
        case AboutHost(host=name):
            return {
                "host": next(host for host in cluster.hosts if host.name == name),
                "members": [one for one in cluster.elsewhere if one.host == name],
                "notes": [note for note in cluster.notes if concerns(note, name)],
            }
        case AboutService(service=name):
            service = name
        case AboutComponent(component=id_) | AboutElsewhere(component=id_):
            service = id_.partition("/")[0]
        case _:
            return {}
    return {
        "lease": next((lease for lease in cluster.leases if lease.service == service), None),
        "notes": [note for note in cluster.notes if concerns(note, service)],
    }


def _age(known: Facts) -> list[str]:
    if known.age is None:
        return []
    when = f"{known.clock.day_and_time(known.now)}, {show_duration(known.age)} ago"
    return [f"No agent runs. This is what its journal last knew ({when}).", ""]


def _range(taken: list[explaining.Taken]) -> str:
    return f"the decisions {taken[0].number} to {taken[-1].number}" if taken else "no decisions"
