"""`holdfast certs`: an authority of the cluster's own, and certificates for hosts and people."""

from pathlib import Path

import click

from holdfast.cli.exits import ExitCode, Trouble
from holdfast.cli.loading import load_policy
from holdfast.cli.place import find_file, place, place_options, usual_file

FOLDER = Path("holdfast-certs")
_HOST_DAYS = 825
_PERSON_DAYS = 365

_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where authority and certificates are kept.",
)


@click.group()
def certs() -> None:
    """Make certificates for hosts and people.

    Agents listen for other hosts only with certificates, and believe only those of the cluster's own
    authority. Two commands make all that is needed; `openssl` does the work. The authority's key is of
    use to whoever has it: keep the folder off the hosts, or at least on one only.

    \b
    Example:
      holdfast certs init
      holdfast certs issue
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


@certs.command()
@_folder
@place_options
def init(folder: Path) -> None:
    """Make the authority: its key, and the certificate that every host gets as cluster.tls.ca.

    \b
    Examples:
      holdfast certs init
      holdfast certs init --folder /root/orders-certs
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.cli.certificates import make_authority

    made = make_authority(folder, "holdfast authority")
    click.echo(f"{made.cert}: the authority's certificate, for every host and person")
    click.echo(f"{made.key}: its key, for nobody but you")
    click.echo("now: holdfast certs issue")


@certs.command()
@click.argument("name", required=False)
@click.option("--access", type=click.Choice(["view", "operate", "admin"]), help="For a person: how much.")
@click.option("--address", multiple=True, metavar="ADDRESS", help="For a host that the file does not name.")
@click.option(
    "--days", type=click.IntRange(1, 36500), help="How long it is good.  [default: 825, people 365]"
)
@click.option("--renew", is_flag=True, help="Make anew what is there already.")
@_folder
@place_options
def issue(
    name: str | None,
    access: str | None,
    address: tuple[str, ...],
    days: int | None,
    folder: Path,
    *,
    renew: bool,
) -> None:
    """Make the certificates of all hosts of the file, or of one host or person.

    A host's certificate names its address, so no host can answer in another's place. A person's has an
    access: view reads; operate moves, drains, restarts and pauses; admin does everything. Nothing can be taken
    back before it ends but a host's, by taking it out of the file: give people short ones, or tokens. An
    agent takes a renewed certificate up by itself.

    \b
    Examples:
      holdfast certs issue
      holdfast certs issue h4 --address 10.0.0.4
      holdfast certs issue ann --access operate --days 90
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from holdfast.agent.access import Access
    from holdfast.cli.certificates import issue_host, issue_person, pair_of

    if access is not None:
        if name is None or address:
            raise click.UsageError("--access is for a person: holdfast certs issue NAME --access view")
        _refuse_standing(folder, name, renew=renew)
        made = issue_person(folder, name, Access(access), days or _PERSON_DAYS)
        _tell_person(folder, made.cert, made.key, f"{name}, {access}")
        return
    wanted = _hosts_of_file() if name is None else {name: address or _address_of(name)}
    for host, addresses in wanted.items():
        if name is None and not renew and pair_of(folder, host).cert.exists():
            click.echo(f"{pair_of(folder, host).cert}: is there already; --renew makes a new one")
            continue
        _refuse_standing(folder, host, renew=renew)
        made = issue_host(folder, host, addresses, days or _HOST_DAYS)
        click.echo(f"{made.cert}, {made.key}: host {host} at {', '.join(addresses)}")
    _tell_hosts(folder)


def _hosts_of_file() -> dict[str, tuple[str, ...]]:
    policy = load_policy(find_file())
    if not policy.hosts:
        hint = "name the host: holdfast certs issue h1 --address 10.0.0.1"
        raise Trouble("the file names no hosts", ExitCode.USAGE, hint=hint)
    return {host.name: (host.address,) for host in policy.hosts.values()}


def _address_of(name: str) -> tuple[str, ...]:
    is_there = place().file is not None or usual_file() is not None
    hosts = _hosts_of_file() if is_there else {}
    if name not in hosts:
        hint = f"a host: holdfast certs issue {name} --address ADDRESS\na person: holdfast certs issue {name} --access view"
        raise Trouble(f"{name!r} is no host of the file", ExitCode.USAGE, hint=hint)
    return hosts[name]


def _refuse_standing(folder: Path, name: str, *, renew: bool) -> None:
    from holdfast.cli.certificates import pair_of

    if not renew and pair_of(folder, name).cert.exists():
        hint = "--renew makes a new one; the old one stays good until it ends"
        raise Trouble(f"{name} has a certificate already", ExitCode.USAGE, hint=hint)


def _tell_hosts(folder: Path) -> None:
    click.echo(
        f"copy to each host, as /etc/holdfast: {folder}/ca.pem, and its own two as host.pem and host.key;"
    )
    click.echo("then in holdfast.yaml:")
    click.echo("  cluster:\n    tls:\n      ca: /etc/holdfast/ca.pem")
    click.echo("      cert: /etc/holdfast/host.pem\n      key: /etc/holdfast/host.key")


def _tell_person(folder: Path, cert: Path, key: Path, who: str) -> None:
    click.echo(f"{cert}, {key}: {who}")
    click.echo(f"with {folder}/ca.pem they ask any agent:")
    click.echo(f"  export HOLDFAST_TLS_CA={folder.absolute()}/ca.pem")
    click.echo(f"  export HOLDFAST_TLS_CERT={cert.absolute()} HOLDFAST_TLS_KEY={key.absolute()}")
    click.echo("  holdfast --host ADDRESS status")
