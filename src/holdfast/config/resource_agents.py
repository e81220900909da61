"""The OCF resource agents of this host: which there are, and what each says of itself.

An agent answers `meta-data` with XML: its parameters, its actions and how long it advises to give them. The file is held to
that answer wherever the agent is installed; where it is not, it is taken as it is written.
"""

import os
import subprocess
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from holdfast.model.time import SECOND, Duration, parse_duration

_OCF_ROOT = "/usr/lib/ocf"
_ANSWERS_WITHIN = 10.0  # seconds; it only prints
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Parameter(NamedTuple):
    """One thing that an agent can be told."""

    name: str
    kind: str  # string, boolean, integer, select, ...: agents are not strict about it
    default: str
    is_required: bool
    short: str  # for people, one line
    long: str
    choices: tuple[str, ...] = ()  # select


class Action(NamedTuple):
    """One thing that an agent can do."""

    name: str
    timeout: Duration | None  # as the agent advises
    interval: Duration | None  # monitor: how often
    depth: str = ""  # monitor: how thorough
    role: str = ""


class Metadata(NamedTuple):
    """What an agent says of itself."""

    name: str
    version: str
    short: str
    long: str
    parameters: dict[str, Parameter]
    actions: tuple[Action, ...]

    @property
    def is_promotable(self) -> bool:
        """Tell whether it knows roles."""
        return any(action.name == "promote" for action in self.actions)

    @property
    def is_notified(self) -> bool:
        """Tell whether it wants to hear of what its peers do."""
        return any(action.name == "notify" for action in self.actions)

    def timeout(self, action: str) -> Duration | None:
        """Return how long the agent advises to give an action; None if it does not say."""
        advised = [each.timeout for each in self.actions if each.name == action and each.timeout]
        return max(advised, default=None)


class UnknownAgentError(Exception):
    """Nothing can be told of an agent; the text says why."""


def ocf_root() -> Path:
    """Return where the agents of this host are: in the folder of the standard, unless OCF_ROOT names another."""
    return Path(os.environ.get("OCF_ROOT") or _OCF_ROOT)


def path_of(provider_agent: str) -> Path:
    """Return where the program of an agent such as "heartbeat:IPaddr2" is."""
    provider, _, name = provider_agent.partition(":")
    return ocf_root() / "resource.d" / provider / name


def installed() -> tuple[str, ...]:
    """Return the agents of this host, as PROVIDER:NAME, in the order of the alphabet."""
    found = (path for path in ocf_root().glob("resource.d/*/*") if not path.name.startswith("."))
    names = (f"{path.parent.name}:{path.name}" for path in found if _is_program(path))
    return tuple(sorted(names, key=str.casefold))


def is_installed(provider_agent: str) -> bool:
    """Tell whether this host has the agent."""
    return _is_program(path_of(provider_agent))


def metadata_of(provider_agent: str) -> Metadata:
    """Return what the agent says of itself; UnknownAgentError if it cannot be had. Runs the agent, for some 50 ms."""
    path = path_of(provider_agent)
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise UnknownAgentError(f"{path} cannot be run: {(error.strerror or '').lower()}") from None
    return _metadata(provider_agent, path, changed)


@lru_cache(maxsize=512)
def _metadata(provider_agent: str, path: Path, _changed: int) -> Metadata:
    provider, _, name = provider_agent.partition(":")
    variables = {
        "PATH": _PATH,
        "LC_ALL": "C",
        "OCF_ROOT": str(ocf_root()),
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": "metadata",
        "OCF_RESOURCE_PROVIDER": provider,
        "OCF_RESOURCE_TYPE": name,
        "HA_RSCTMP": "/run/resource-agents",  # stands in defaults, as people know it
    }
    try:
        said = subprocess.run(
            [str(path), "meta-data"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=variables,
            cwd="/",
            timeout=_ANSWERS_WITHIN,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        raise UnknownAgentError(f"{path} meta-data did not end within {_ANSWERS_WITHIN:g}s") from None
    except OSError as error:
        raise UnknownAgentError(f"{path} cannot be run: {(error.strerror or '').lower()}") from None
    try:
        return parse_metadata(said)
    except ValueError as error:
        raise UnknownAgentError(f"{path} meta-data: {error}") from None


def parse_metadata(text: bytes) -> Metadata:
    """Return what an agent's answer says; ValueError if it says nothing."""
    try:
        # The document comes from a program that the operator has run as root: it needs no trick in XML.
        root = ET.fromstring(text.strip())  # noqa: S314 - see above
    except ET.ParseError as error:
        raise ValueError(f"its answer is no XML: {error}") from error
    parameters = [_parameter(element) for element in root.iterfind("parameters/parameter")]
    actions = tuple(_action(element) for element in root.iterfind("actions/action"))
    if not actions:
        raise ValueError("it names no actions")
    return Metadata(
        name=root.get("name", ""),
        version=root.get("version", ""),
        short=_words(root.find("shortdesc")),
        long=_paragraphs(root.find("longdesc")),
        parameters={one.name: one for one in parameters},
        actions=actions,
    )


def advised_duration(text: str) -> Duration | None:
    """Return a duration as metadata writes it: `20`, `20s`, `2m`, `500ms`; None if it is none."""
    text = text.strip().lower().removesuffix("ec").removesuffix("in")  # 20sec, 2min
    if text.isdecimal():
        return int(text) * SECOND
    try:
        return parse_duration(text)
    except (ValueError, OverflowError):
        return None


def _parameter(element: ET.Element) -> Parameter:
    content = element.find("content")
    if content is None:
        content = ET.Element("content")
    return Parameter(
        name=element.get("name", ""),
        kind=content.get("type", "string").lower(),
        default=content.get("default", ""),
        is_required=element.get("required", "0").lower() in ("1", "true", "yes"),
        short=_words(element.find("shortdesc")),
        long=_paragraphs(element.find("longdesc")),
        choices=tuple(option.get("value", "") for option in content.iterfind("option")),
    )


def _action(element: ET.Element) -> Action:
    return Action(
        name=element.get("name", ""),
        timeout=advised_duration(element.get("timeout", "")),
        interval=advised_duration(element.get("interval", "")),
        depth=element.get("depth", ""),
        role=element.get("role", ""),
    )


def _words(element: ET.Element | None) -> str:
    return " ".join((element.text or "").split()) if element is not None else ""


def _paragraphs(element: ET.Element | None) -> str:
    lines = (element.text or "").strip().splitlines() if element is not None else []
    return "\n".join(line.strip() for line in lines)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
