"""What the guard has to know of a component to end it, told by the agent when it arms the deadline.

The guard cannot ask anybody at the deadline: whoever knows may be frozen. So all that names the component's processes
stands in the arming message, and beside the guard for its next life.
"""

import os

MARKS_MAX = 8
TEXT_MAX = 4096  # characters of a path or a mark


class Facts:
    """How the processes of one life of a component are found."""

    __slots__ = ("boot", "cgroup", "marks", "pid", "ticks")

    def __init__(
        self, pid: int, ticks: int, boot: str, marks: tuple[str, ...] = (), cgroup: str = ""
    ) -> None:
        self.pid = pid  # of the main process; 0: it is about to be started, and found by its marks
        self.ticks = ticks  # when that started, in clock ticks since boot: a pid alone names nothing
        self.boot = boot  # the kernel's id of the boot in which that is true
        self.marks = (
            marks  # entries NAME=VALUE that all its processes have in their environment; none: it has no mark
        )
        self.cgroup = cgroup  # path of the control group that is its own; empty: it has none

    def as_json(self) -> dict[str, object]:
        """Return it as it travels and as it is kept."""
        return {
            "pid": self.pid,
            "ticks": self.ticks,
            "boot": self.boot,
            "marks": list(self.marks),
            "cgroup": self.cgroup,
        }

    @classmethod
    def from_json(cls, value: object) -> "Facts":
        """Return the facts in `value`; ValueError says what is wrong with it."""
        if not isinstance(value, dict) or set(value) != {"pid", "ticks", "boot", "marks", "cgroup"}:
            raise ValueError("facts are an object of pid, ticks, boot, marks and cgroup")
        pid, ticks = whole(value["pid"], "facts.pid"), whole(value["ticks"], "facts.ticks")
        boot, cgroup = text(value["boot"], "facts.boot"), text(value["cgroup"], "facts.cgroup")
        marks = value["marks"]
        if not isinstance(marks, list) or len(marks) > MARKS_MAX:
            raise ValueError(f"facts.marks is a list of at most {MARKS_MAX}")
        entries = tuple(text(mark, "facts.marks") for mark in marks)
        if not all("=" in mark[1:] and "\0" not in mark for mark in entries):
            raise ValueError("each of facts.marks is NAME=VALUE")
        if (
            pid == 1
        ):  # our own number is refused when it is armed; remembered, it is that of a process that is gone
            raise ValueError(f"facts.pid is {pid}, and that is nobody's component")
        if pid == 0 and not entries:
            raise ValueError("facts.pid is 0, not started yet: then only marks can tell what belongs to it")
        if cgroup and (not os.path.isabs(cgroup) or cgroup != os.path.normpath(cgroup)):
            raise ValueError("facts.cgroup is an absolute path without detours, or empty")
        return cls(pid, ticks, boot, entries, cgroup)


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
