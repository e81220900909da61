"""Running PostgreSQL's own programs: as the user that owns the data, with a time limit, in plain English.

They refuse to run as root, so an agent that is root lends them the owner's identity. A program gets a small clean
environment, runs in a process group of its own, and is killed with all its children when its time is over or when
we are cancelled.
"""

import asyncio
import contextlib
import os
import pwd
import signal
from collections.abc import Callable, Mapping, Sequence

from holdfast.model.time import SECOND, Duration
from holdfast.model.value import Value
from holdfast.postgresql.instance import Instance

OUTPUT_MAX = 256 * 1024  # bytes that are kept; the rest is read and thrown away
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_COMPLAINTS = ("error:", "ERROR:", "FATAL:", "PANIC:")

Listener = Callable[[str], None]


class Account(Value, frozen=True):
    """Who the data belongs to. A number that is None stays as our own."""

    name: str
    home: str
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None


class Done(Value, frozen=True):
    """How a program ended."""

    code: int | None  # negative: a signal; None: its time was over, or it could not be run
    output: str  # both outputs, as far as they are kept

    @property
    def is_good(self) -> bool:
        """Tell whether it did what it was asked."""
        return self.code == 0

    @property
    def last_words(self) -> str:
        """Return its last line that says something: that is where programs tell why they gave up."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        told = [line for line in lines if any(word in line for word in _COMPLAINTS)]
        return (told or lines or [""])[-1]


class NoAccount(Exception):  # noqa: N818 - it is an answer for the operator
    """There is no such user, or we may not act as it. The text says what to do."""


def find_account(instance: Instance) -> Account:
    """Return who runs the instance; NoAccount otherwise. PostgreSQL never runs as root."""
    own = pwd.getpwuid(os.geteuid())
    if instance.user is None or instance.user == own.pw_name:
        if own.pw_uid == 0:
            raise NoAccount("PostgreSQL does not run as root: name the user that owns the data")
        return Account(own.pw_name, own.pw_dir)
    try:
        wanted = pwd.getpwnam(instance.user)
    except KeyError:
        raise NoAccount(f"user {instance.user!r} does not exist on this host") from None
    if own.pw_uid != 0:
        raise NoAccount(f"only root can act as {instance.user!r}, and this agent runs as {own.pw_name}")
    groups = tuple(os.getgrouplist(wanted.pw_name, wanted.pw_gid))
    return Account(wanted.pw_name, wanted.pw_dir, wanted.pw_uid, wanted.pw_gid, groups)


def environment_of(account: Account, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a program that runs for the instance. LC_ALL=C: what it prints is read by us."""
    return {
        "PATH": os.environ.get("PATH", _PATH),
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "LC_ALL": "C",
        **(more or {}),
    }


async def run(
    instance: Instance,
    command: Sequence[str],
    *,
    within: Duration,
    variables: Mapping[str, str] | None = None,
    say: str = "",
    on_line: Listener | None = None,
) -> Done:
    """Run `command` to its end as the owner of the data, with `say` as its input.

    It answers with a value whatever the program does. `on_line` is told each line as it comes.
    """
    try:
        account = find_account(instance)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if say else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            env=environment_of(account, variables),
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
            start_new_session=True,
            umask=0o077,
        )
    except NoAccount as refusal:
        return Done(None, str(refusal))
    except OSError as error:
        return Done(None, f"error: {command[0]} cannot be run: {error.strerror}")
    kept: list[str] = []
    try:
        async with asyncio.timeout(within / SECOND):
            if process.stdin is not None:
                process.stdin.write(say.encode())
                process.stdin.close()
            await _listen(process, kept, on_line)
            code = await process.wait()
    except TimeoutError:
        return Done(None, "".join(kept) + f"\nerror: {command[0]} did not end within {within / SECOND:g}s")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    return Done(code, "".join(kept))


async def _listen(process: asyncio.subprocess.Process, kept: list[str], on_line: Listener | None) -> None:
    """Read all that it prints. pg_basebackup's progress ends its lines with a carriage return."""
    assert process.stdout is not None
    room = OUTPUT_MAX
    while data := await process.stdout.read(65536):
        text = data.decode("utf-8", "replace").replace("\r", "\n")
        if room > 0:
            kept.append(text[:room])
            room -= len(text)
        if on_line is not None:
            for line in filter(None, text.splitlines()):
                on_line(line)
