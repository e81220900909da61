"""Bootstrap: the first data of a system, from initdb or from a user's command, with the roles that we need.

Exactly one member does this, under a right that the coordinator gave; the others clone from it. The work is marked on
disk before it begins: what was half made is set aside the next time, and never started.
"""

from collections.abc import Sequence

from holdfast.model.time import HOUR, MINUTE, Duration
from holdfast.model.value import Value
from holdfast.postgresql import files, single_user
from holdfast.postgresql.asking import prepare_writing
from holdfast.postgresql.control import Control, State, read_control
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.postmaster import look
from holdfast.postgresql.programs import run
from holdfast.postgresql.recovery_target import recover_to_target
from holdfast.postgresql.running import Spawner
from holdfast.postgresql.settings import Settings, write_settings

INITDB_OPTIONS = ("--data-checksums", "--encoding=UTF8")
# What pg_rewind calls on its source; see its manual.
_REWIND_FUNCTIONS = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


class Passwords(Value, frozen=True):
    """How members prove to each other who they are."""

    replicator: str
    rewinder: str
    guest: str = ""  # of the role of a server outside, where one is followed


class NotDone(Exception):  # noqa: N818 - it is an answer: the text says why
    """The work on the data failed. What was there before is still there, or marked as unfinished."""


async def bootstrap(
    instance: Instance,
    settings: Settings,
    passwords: Passwords,
    *,
    options: Sequence[str] = INITDB_OPTIONS,
    within: Duration = 5 * MINUTE,
) -> Control:
    """Make the first data with initdb, ready to be started as primary; NotDone otherwise."""
    _refuse_to_overwrite(instance)
    files.begin(instance, "bootstrap", "initdb")
    users = ("-U", instance.superuser, "--auth-local=peer", "--auth-host=scram-sha-256")
    command = (instance.program("initdb"), "-D", instance.data, *users, *options)
    _make_folder(instance)
    done = await run(instance, command, within=within)
    if not done.is_good:
        raise NotDone(f"initdb: {done.last_words}")
    return await _make_ours(instance, settings, passwords)


async def bootstrap_by_command(
    instance: Instance,
    settings: Settings,
    passwords: Passwords,
    command: Sequence[str],
    spawner: Spawner,
    *,
    within: Duration = HOUR,
) -> Control:
    """Make the first data with a user's command, such as a restore to a point in time; NotDone otherwise.

    The command finds HOLDFAST_DATA and HOLDFAST_PROGRAMS in its environment and runs as the owner of the data. Where
    it leaves a recovery.signal, the recovery is run to its target, open to nobody, before anything else happens.
    """
    _refuse_to_overwrite(instance)
    files.begin(instance, "bootstrap", command[0])
    _make_folder(instance)
    variables = {"HOLDFAST_DATA": instance.data, "HOLDFAST_PROGRAMS": instance.programs}
    done = await run(instance, command, within=within, variables=variables)
    if not done.is_good:
        raise NotDone(f"{command[0]}: {done.last_words or f'it ended with {done.code}'}")
    if (instance.folder / "recovery.signal").exists() and (
        problem := await recover_to_target(instance, spawner, within)
    ):
        raise NotDone(f"recovery: {problem}")
    return await _make_ours(instance, settings, passwords)


async def adopt(instance: Instance, settings: Settings, passwords: Passwords) -> Control:
    """Make an existing instance ours: roles, our table, our file and the line that includes it; NotDone otherwise.

    It must not run, and be a primary that was shut down cleanly: then nothing of it changes but what is named here.
    """
    if look(instance).postmaster is not None:
        raise NotDone("it runs: stop it in good order first")
    control = await read_control(instance)
    if control.state is not State.SHUT_DOWN:  # a standby would be made a primary by what follows
        raise NotDone(
            f"only a primary that was shut down cleanly can be adopted; its state is {control.state!r}"
        )
    if (
        not instance.configuration.exists()
    ):  # an empty one in its place would be silence about all of its settings
        raise NotDone(f"{instance.configuration} is not there: name its postgresql.conf, under config")
    return await _make_ours(instance, settings, passwords, is_marked=False)


async def _make_ours(
    instance: Instance, settings: Settings, passwords: Passwords, *, is_marked: bool = True
) -> Control:
    write_passwords(instance, passwords)
    # Before a server runs on it: pg_control then has the operator's values, below which no standby could start later.
    write_settings(instance, settings)
    done = await single_user.recover_alone(instance, statements(instance, passwords))
    if not done.is_good:
        raise NotDone(f"roles: {done.last_words}")
    if is_marked:
        files.finish(instance)
    return await read_control(instance)


def _refuse_to_overwrite(instance: Instance) -> None:
    if not files.is_movable(instance):
        raise NotDone(
            f"{instance.data} is a mount point: name a folder below it, so that it can be replaced whole"
        )
    if instance.is_empty:
        return
    half = files.unfinished(instance)
    if half is None or half.work != "bootstrap":
        raise NotDone(f"{instance.data} holds data already")
    files.set_aside(instance)


def _make_folder(instance: Instance) -> None:
    instance.folder.mkdir(mode=0o700, exist_ok=True)
    files.give_to_owner(instance, instance.folder)


def write_passwords(instance: Instance, passwords: Passwords) -> None:
    """Write the passfile that standbys and pg_rewind use. OSError otherwise."""
    files.make_beside(instance)
    pairs = [(instance.replicator, passwords.replicator), (instance.rewinder, passwords.rewinder)]
    if instance.guest:
        pairs.append((instance.guest, passwords.guest))
    lines = [f"*:*:*:{user}:{_escape(password)}\n" for user, password in pairs]
    if files.read_file(instance.passwords) != "".join(lines):
        files.write_file(instance, instance.passwords, "".join(lines))


def _escape(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")


def statements(instance: Instance, passwords: Passwords) -> tuple[str, ...]:
    """Return what makes our roles and our table, as often as it is said. Each role may do what it has to, and no more."""
    rewinder = _name(instance.rewinder)
    grants = [f"grant execute on function pg_catalog.{name} to {rewinder}" for name in _REWIND_FUNCTIONS]
    table = [" ".join(statement.split()) for statement in prepare_writing()]
    return (
        *_role(instance.replicator, "login replication", passwords.replicator),
        *_role(instance.rewinder, "login", passwords.rewinder),
        *grants,
        f"grant pg_read_all_stats to {rewinder}",  # how much space a clone needs
        *table,
    )


def _role(name: str, rights: str, password: str) -> tuple[str, str]:
    make = f"create role {_name(name)}"
    return (
        f"do $$ begin if not exists (select from pg_roles where rolname = {_text(name)}) then {make}; end if; end $$",
        f"alter role {_name(name)} {rights} password {_text(password)}",
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    assert "\n" not in text, "the configuration refuses passwords with line ends"
    return "'" + text.replace("'", "''") + "'"
