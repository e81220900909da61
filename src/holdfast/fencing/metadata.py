"""What a fence agent says of itself: which options it knows, which it needs, what it can do.

Options that were renamed are listed twice, the old one as deprecated and the new one as obsoleting it; where one of the two is
needed, both say so.
"""

import xml.etree.ElementTree as ET
from typing import NamedTuple

from holdfast.fencing.instructing import ACTION


class Parameter(NamedTuple):
    """One option that an agent knows."""

    name: str
    kind: str  # string, boolean, integer, second, select
    is_required: bool
    obsoletes: str = ""  # its older name
    choices: tuple[str, ...] = ()  # select


class AgentMetadata(NamedTuple):
    """What an agent says of itself."""

    name: str
    parameters: dict[str, Parameter]
    actions: frozenset[str]

    def find(self, option: str) -> Parameter | None:
        """Return the parameter that an option of the file sets. Agents take - for _ and the other way round."""
        return self.parameters.get(plain(option))

    def required(self) -> tuple[tuple[str, ...], ...]:
        """Return what has to be set: of each tuple one name, the newest first."""
        needed = {name: parameter for name, parameter in self.parameters.items() if parameter.is_required}
        renamed = {plain(parameter.obsoletes) for parameter in needed.values() if parameter.obsoletes}
        return tuple(
            (name, plain(parameter.obsoletes)) if parameter.obsoletes else (name,)
            for name, parameter in needed.items()
            if name != ACTION and name not in renamed
        )


def plain(option: str) -> str:
    """Return the one spelling that options are compared in."""
    return option.replace("-", "_")


def parse_metadata(text: bytes) -> AgentMetadata:
    """Return what an agent's answer to `metadata` says; ValueError if it says nothing."""
    try:
        # The document comes from a program that the operator had us run as root: it needs no trick in XML.
        root = ET.fromstring(text)  # noqa: S314 - see above
    except ET.ParseError as error:
        raise ValueError(f"its metadata is no XML: {error}") from error
    parameters = [_parameter(element) for element in root.iterfind("parameters/parameter")]
    actions = frozenset(element.get("name", "") for element in root.iterfind("actions/action"))
    if not actions:
        raise ValueError("its metadata names no actions")
    return AgentMetadata(root.get("name", ""), {plain(one.name): one for one in parameters}, actions)


def _parameter(element: ET.Element) -> Parameter:
    content = element.find("content")
    return Parameter(
        name=element.get("name", ""),
        kind="string" if content is None else content.get("type", "string"),
        is_required=element.get("required") == "1",
        obsoletes=element.get("obsoletes", ""),
        choices=()
        if content is None
        else tuple(option.get("value", "") for option in content.iterfind("option")),
    )
