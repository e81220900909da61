"""What the guard has to know of a component to end it, told by the agent when it arms the deadline.

The guard cannot ask anybody at the deadline: whoever knows may be frozen. So all that names the component's processes
stands in the arming message, and beside the guard for its next life.
"""

import os

MARKS_MAX = 8
COMMANDS_MAX, ARGUMENTS_MAX, VARIABLES_MAX = 4, 16, 256
TEXT_MAX = 4096  # characters of a path, a mark, an argument or a variable


class Facts:
    """How the processes of one life of a component are found, and what else ends it."""

    __slots__ = ("boot", "cgroup", "commands", "marks", "pid", "ticks", "variables")

    def __init__(  # noqa: PLR0917 - a value: it is written where it is made, and read here
        self,
        pid: int,
        ticks: int,
        boot: str,
        marks: tuple[str, ...] = (),
        cgroup: str = "",
        commands: tuple[tuple[str, ...], ...] = (),
        variables: tuple[str, ...] = (),
    ) -> None:
        self.pid = pid  # of the main process; 0: it is about to be started, and found by its marks
        self.ticks = ticks  # when that started, in clock ticks since boot: a pid alone names nothing
        self.boot = boot  # the kernel's id of the boot in which that is true
        self.marks = (
            marks  # entries NAME=VALUE that all its processes have in their environment; none: it has no mark
        )
        self.cgroup = cgroup  # path of the control group that is its own; empty: it has none
        self.commands = (
            commands  # run after the kill, in this order; what they end, such as an address, is no process
        )
        self.variables = variables  # NAME=VALUE, the whole environment of the commands

    def as_json(self) -> dict[str, object]:
        """Return it as it travels and as it is kept."""
        said: dict[str, object] = {
            "pid": self.pid,
            "ticks": self.ticks,
            "boot": self.boot,
            "marks": list(self.marks),
            "cgroup": self.cgroup,
        }
        if self.commands:  # said only where there are some: a guard of an older version knows neither
            said["commands"] = [list(command) for command in self.commands]
            said["variables"] = list(self.variables)
        return said

    @classmethod
    def from_json(cls, value: object) -> "Facts":
        """Return the facts in `value`; ValueError says what is wrong with it."""
        known = {"pid", "ticks", "boot", "marks", "cgroup"}
        if not isinstance(value, dict) or set(value) - {"commands", "variables"} != known:
            raise ValueError("facts are an object of pid, ticks, boot, marks and cgroup")
        pid, ticks = whole(value["pid"], "facts.pid"), whole(value["ticks"], "facts.ticks")
        boot, cgroup = text(value["boot"], "facts.boot"), text(value["cgroup"], "facts.cgroup")
        entries = _settings(value["marks"], "facts.marks", MARKS_MAX)
        commands = _commands(value.get("commands", []))
        variables = _settings(value.get("variables", []), "facts.variables", VARIABLES_MAX)
        if (
            pid == 1
        ):  # our own number is refused when it is armed; remembered, it is that of a process that is gone
            raise ValueError(f"facts.pid is {pid}, and that is nobody's component")
        if pid == 0 and not entries:
            raise ValueError("facts.pid is 0, not started yet: then only marks can tell what belongs to it")
        if cgroup and (not os.path.isabs(cgroup) or cgroup != os.path.normpath(cgroup)):
            raise ValueError("facts.cgroup is an absolute path without detours, or empty")
        return cls(pid, ticks, boot, entries, cgroup, commands, variables)


def whole(value: object, name: str) -> int:
    """Return `value` if it is a number that counts something; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{name} is a whole number, not negative")
    return value


def text(value: object, name: str) -> str:
    """Return `value` if it is text of a bounded length; ValueError otherwise."""
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise ValueError(f"{name} is text of at most {TEXT_MAX} characters")
    return value


def _settings(value: object, name: str, most: int) -> tuple[str, ...]:
    entries = tuple(text(each, name) for each in _list(value, name, most))
    if not all("=" in entry[1:] and "\0" not in entry for entry in entries):
        raise ValueError(f"each of {name} is NAME=VALUE")
    return entries


def _commands(value: object) -> tuple[tuple[str, ...], ...]:
    name = "facts.commands"
    commands = tuple(
        tuple(text(word, name) for word in _list(command, name, ARGUMENTS_MAX))
        for command in _list(value, name, COMMANDS_MAX)
    )
    if not all(
        command and os.path.isabs(command[0]) and "\0" not in "".join(command) for command in commands
    ):
        raise ValueError("each of facts.commands begins with the absolute path of a program")
    return commands


def _list(value: object, name: str, most: int) -> list[object]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{name} is a list of at most {most}")
    return value
