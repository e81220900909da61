"""The mark that everything a component starts carries in its environment, and finding processes by it.

The mark is there from the first instant of the program, before anything is written down, and children and
daemons inherit it. It names the agent's directory, so that two agents on one host never take each other's
processes, together with a secret kept there, so that nobody else's process can pass for a component.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from holdfast.components import procfs
from holdfast.components.procfs import Identity
from holdfast.components.records import put_in_place
from holdfast.model.ids import ComponentId, Epoch, member_of, service_of
from holdfast.model.value import Value

_INSTANCE = "HOLDFAST_INSTANCE"
_COMPONENT = "HOLDFAST_COMPONENT"
_EPOCH = "HOLDFAST_EPOCH"
_ROLE = "HOLDFAST_START_ROLE"
_RUN = "HOLDFAST_RUN"
_HOOK = "HOLDFAST_HOOK"

_BECOMING = 0.5  # seconds; the kernel needs microseconds, a busy machine milliseconds


class StrangersError(Exception):
    """Components run that this state directory knows nothing of."""


class Mark(Value, frozen=True):
    """What the environment of a component's process says about it."""

    component: ComponentId
    epoch: Epoch  # when it was started; a later promotion is in the record only
    is_primary: bool  # the same
    run_digest: str
    hook: str = ""  # "promote", "demote"; empty: the component itself


class Found(Value, frozen=True):
    """A process that carries our mark."""

    identity: Identity
    is_leader: bool  # of its session, as every process that we start
    mark: Mark


def read_secret(directory: Path) -> bytes:
    """Return the secret that is kept in this directory; made when it is first asked for."""
    try:
        return _secret_place(directory).read_bytes()
    except FileNotFoundError:
        secret = secrets.token_bytes(16)
        keep_secret(directory, secret)
        return secret


def keep_secret(directory: Path, secret: bytes) -> None:
    """Keep the secret in this directory if it is not there: without it nobody knows its processes again."""
    place = _secret_place(directory)
    if not place.exists():
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put_in_place(place, secret)


def _secret_place(directory: Path) -> Path:
    return directory / "components" / "instance"


def read_instance(directory: Path) -> str:
    """Return the name by which this directory's processes are known."""
    secret = read_secret(directory)
    # A copied directory, such as a restored backup, is another one: its path differs.
    proof = hashlib.sha256(os.fsencode(directory.resolve()) + b"\0" + secret).hexdigest()[:16]
    return _place_of(directory) + proof


def refuse_strangers(directory: Path, instance: str) -> None:
    """Raise StrangersError if processes run that belong to this place but to another secret than `instance` has.

    The directory was removed or replaced while no agent ran. Their components would be started a second time.
    """
    place = _place_of(directory).encode("ascii")
    needle = f"\0{_INSTANCE}=".encode("ascii") + place
    found: dict[int, ComponentId] = {}
    for pid, environment in _environments():
        name = environment.partition(needle)[2].partition(b"\0")[0]
        if name and place + name != instance.encode("ascii") and pid != os.getpid():
            found[pid] = _parse(environment).component
    if found:
        told = ", ".join(f"{component} (pid {pid})" for pid, component in sorted(found.items()))
        raise StrangersError(
            f"{directory} is new, but processes of its earlier life still run: {told}. They would be started a second "
            "time. Put the old directory back, or end them, then start again"
        )


def _place_of(directory: Path) -> str:
    return hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:8] + "-"


def as_environment(instance: str, mark: Mark) -> dict[str, str]:
    """Return the variables that carry `mark`."""
    variables = {
        _INSTANCE: instance,
        _COMPONENT: mark.component,
        "HOLDFAST_SERVICE": service_of(mark.component),
        "HOLDFAST_MEMBER": member_of(mark.component),
        _EPOCH: str(mark.epoch),
        _ROLE: "primary" if mark.is_primary else "standby",
        _RUN: mark.run_digest,
    }
    return variables | ({_HOOK: mark.hook} if mark.hook else {})


def find(instance: str) -> Iterator[Found]:
    """Yield every running process that carries the mark of `instance`, except ourselves."""
    needle = f"\0{_INSTANCE}={instance}\0".encode("ascii")
    for pid, environment in _environments():
        if needle not in environment or pid == os.getpid():
            continue
        stat = procfs.read_stat(pid)
        if stat is not None and not stat.is_gone:
            yield Found(stat.identity, stat.session == pid, _parse(environment))


def _environments() -> Iterator[tuple[int, bytes]]:
    empty = []
    for pid in procfs.pids():
        environment = procfs.read_environment(pid)
        if environment:
            yield pid, b"\0" + environment
        elif environment is not None:
            empty.append(pid)
    deadline = time.monotonic() + _BECOMING
    while any(map(procfs.is_becoming, empty)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)
    for pid in empty:
        if environment := procfs.read_environment(pid):
            yield pid, b"\0" + environment


def _parse(environment: bytes) -> Mark:
    variables = dict(entry.partition("=")[::2] for entry in os.fsdecode(environment).split("\0"))
    epoch = variables.get(_EPOCH, "")
    return Mark(
        component=variables.get(_COMPONENT, ""),
        epoch=int(epoch) if epoch.isdecimal() else 0,
        is_primary=variables.get(_ROLE) == "primary",
        run_digest=variables.get(_RUN, ""),
        hook=variables.get(_HOOK, ""),
    )
