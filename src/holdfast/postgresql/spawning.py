"""Starting a postmaster without an agent: what tests and commands use. The agent has its own way, with marks and groups."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Sequence

from holdfast.postgresql.files import make_beside
from holdfast.postgresql.instance import Instance
from holdfast.postgresql.programs import NoAccount, environment_of, find_account
from holdfast.postgresql.running import NotStarted

LOG_MAX = 10_000_000  # bytes; a longer log is put aside at the next start


async def spawn(instance: Instance, command: Sequence[str]) -> int:
    """Run `command` in a session of its own as the owner of the data, its output in a log beside it; return its pid."""
    try:
        return await asyncio.to_thread(_spawn, instance, command)
    except NoAccount as refusal:
        raise NotStarted(str(refusal)) from None
    except OSError as error:
        raise NotStarted(f"{command[0]} cannot be started: {error.strerror}") from None


def _spawn(instance: Instance, command: Sequence[str]) -> int:
    account = find_account(instance)
    make_beside(instance)
    place = instance.beside / "postgresql.log"
    if place.exists() and place.stat().st_size > LOG_MAX:
        place.replace(place.with_suffix(".log.1"))
    log = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment_of(account),
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(log)
    # Somebody has to wait for it, or it stays a zombie after its end.
    threading.Thread(target=process.wait, name=f"postmaster {process.pid}", daemon=True).start()
    return process.pid
