"""What has to be known before a new configuration is put in force.

Is it valid, can it be listened on, and what of the servers' present states still holds under it.
"""

import asyncio
import re
import socket
from contextlib import suppress

from holdfast.model.policy import Policy
from holdfast.traffic import places
from holdfast.traffic.carrying import carried
from holdfast.traffic.standing import state_rows

NO_STATES = "1\n"  # a states file without states; version 1

_CHECK_TIMEOUT = 20.0  # seconds for `haproxy -c`: names are resolved
_VALID = "Configuration file is valid"
_COMPLAINT = re.compile(r"^\[(?:ALERT|WARNING)\]\s*\(\d+\) : (?:config : )?(.*)$", re.MULTILINE)
_LINE = re.compile(re.escape(places.CANDIDATE) + r":(\d+)")
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - only when the operator listens there
_BIND = re.compile(r"^\s+bind (\S+):(\d+)$", re.MULTILINE)


async def complaint(program: str, where: places.Places) -> str:
    """Return what HAProxy says against the candidate, with the lines meant; empty if nothing."""
    arguments = ("-C", str(where.folder), "-c", "-f", places.CANDIDATE)
    try:
        check = await asyncio.create_subprocess_exec(
            program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return f"cannot run {program}: {error.strerror}"
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            said = (await check.communicate())[0].decode("utf-8", "replace")
    except TimeoutError:
        return f"{program} -c took longer than {_CHECK_TIMEOUT:.0f}s"
    finally:
        if check.returncode is None:
            with suppress(ProcessLookupError):
                check.kill()
            await check.wait()
    # Its word rather than its exit status: another child reaper in this process may have taken that.
    return "" if _VALID in said else _in_short(said, places.read(where / places.CANDIDATE))


def _in_short(said: str, text: str) -> str:
    lines = text.splitlines()
    complaints = []
    for words in _COMPLAINT.findall(said):
        if "rror(s) found in configuration" in words or "atal errors found" in words:
            continue
        number = _LINE.search(words)
        quote = f" ({lines[int(number[1]) - 1].strip()})" if number and int(number[1]) <= len(lines) else ""
        complaints.append(words.strip() + quote)
    return (
        "; ".join(complaints) or said.strip()[-500:] or "HAProxy refused its configuration and said nothing"
    )


def taken_addresses(old: str, new: str) -> list[str]:
    """Return the addresses that `new` listens on, `old` does not, and somebody else does.

    A reload that fails to bind has the running worker stop listening for a moment: better not to try.
    """
    fresh = set(_BIND.findall(new)) - set(_BIND.findall(old))
    return sorted(f"{host}:{port}" for host, port in fresh if not _is_free(host, int(port)))


def _is_free(host: str, port: int) -> bool:
    host = _EVERYWHERE if host == "*" else host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen(1)
    except OSError:
        return False
    return True


def kept_states(states: str, policy: Policy) -> str:
    """Return the states of the servers that the new policy has at the same address.

    Without this every server would be UP for a moment after a reload, dead and fenced ones too.
    HAProxy believes the file more than its configuration: a changed address must not be in it.
    """
    same = {
        (service.name, member.name, member.host, str(member.port))
        for service in carried(policy)
        for member in service.everywhere
    }
    head, rows = states.splitlines()[:2], states.splitlines()[2:]
    kept = [
        line
        for line, row in zip(rows, state_rows(states), strict=False)
        if not same.isdisjoint(
            (row["be_name"], row["srv_name"], host, row["srv_port"])
            for host in (row["srv_addr"], row["srv_fqdn"])
        )
    ]
    return "\n".join([*head, *kept]) + "\n"
