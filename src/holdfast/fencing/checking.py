"""Holding a policy to what its fence agent says of itself, long before a host has to be turned off.

An agent passes over an option that it does not know, so a mistyped one would be found out in the night when it is needed.
The device is not asked here: it may be away just now. `look` asks it.
"""

import asyncio
import re

from holdfast.fencing.device import Device, find_device, find_program
from holdfast.fencing.instructing import Instructions, Refused, instruct
from holdfast.fencing.metadata import AgentMetadata, Parameter, parse_metadata
from holdfast.model.policy import FencePolicy, SecretFrom

WITHIN = 10.0  # seconds for each question to the agent; a busy host needs one

_BOOLEANS = ("1", "yes", "on", "true", "0", "no", "off", "false")
_DISTRACTING = (
    "help",
    "version",
)  # with these an agent tells about itself, and ends well without doing anything


def problems_of(policy: FencePolicy) -> tuple[str, ...]:
    """Return what would keep this policy from working. Blocks for the agent's answers; for use without an event loop."""
    return asyncio.run(find_problems(policy))


async def find_problems(policy: FencePolicy) -> tuple[str, ...]:
    """Return what would keep this policy from working, as far as it can be told without asking the device."""
    try:
        if policy.command:
            find_program(policy.command[0])
            return ()
        program = find_program(policy.agent)
    except Refused as refused:
        return (str(refused),)
    agent = Device(program, Instructions(b"", ()))
    answer = await agent.ask("metadata", WITHIN)
    if answer.code != 0:
        return (f"{agent.said(answer)}; it was asked for its metadata",)
    try:
        metadata = parse_metadata(answer.printed)
    except ValueError as error:
        return (f"{agent.name} is no fence agent: {error}",)
    found = [*_missing_actions(agent.name, metadata), *_problems_of_options(policy, metadata)]
    try:
        instruct(policy)
    except Refused as refused:
        found.append(str(refused))
    if not found and "validate-all" in metadata.actions:
        # Some options are needed only if others are, or not, and only the agent itself knows. It asks no device for that.
        device = find_device(policy)
        answer = await device.ask("validate-all", WITHIN)
        if answer.code != 0:
            found.append(device.said(answer))
    return tuple(found)


def _missing_actions(name: str, metadata: AgentMetadata) -> list[str]:
    return [
        f"{name} has no action {action}: with it alone a host cannot be {what}"
        for action, what in (("off", "turned off"), ("status", "seen to be off"))
        if action not in metadata.actions
    ]


def _problems_of_options(policy: FencePolicy, metadata: AgentMetadata) -> list[str]:
    found = []
    given = set()
    for name, value in policy.options.items():
        parameter = metadata.find(name)
        if parameter is None or parameter.name in _DISTRACTING:
            known = ", ".join(sorted(one for one in metadata.parameters if one not in _DISTRACTING))
            found.append(f"options.{name}: {metadata.name} has no such option; it has {known}")
            continue
        given.add(name.replace("-", "_"))
        if not isinstance(value, SecretFrom) and (wanted := _wanted(parameter, value)):
            found.append(f"options.{name} must be {wanted}")
    found += [
        f"options.{names[0]} is missing: {metadata.name} needs it"
        for names in metadata.required()
        if given.isdisjoint(names)
    ]
    return found


def _wanted(parameter: Parameter, value: str) -> str:
    """Return what the option must be, empty if it is."""
    match parameter.kind:
        case "boolean" if value.lower() not in _BOOLEANS:
            return "1 or 0"  # in words that no YAML reads as its own
        case "integer" if not re.fullmatch(r"[+-]?\d+", value, re.ASCII):
            return "a whole number"
        case "second" if not re.fullmatch(r"\d+", value, re.ASCII):
            return "a whole number of seconds, without a unit"
        case "select" if parameter.choices and value not in parameter.choices:
            return f"one of {', '.join(parameter.choices)}"
        case _:
            return ""
