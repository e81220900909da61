"""What a Nagios-style check prints: a line for people, and numbers.

The first line is `TEXT | perfdata`; further lines are long text, and after a later `|` perfdata again, to the
end. perfdata is `'label'=value[UOM];warn;crit;min;max` and spaces between; the label is quoted when it has
spaces, `=` or `'` in it (doubled), the value may be `U` for unknown. Checks in the wild print all sorts of
other things: what does not read as perfdata is passed over, for a strange word beside the numbers says
nothing about the component.
"""

import math
import re
from typing import NamedTuple

from holdfast.model.observation import Measurement

TEXT_MAX = 200  # characters of the line for people
MEASUREMENTS_MAX = 128  # of one answer

_ITEM = re.compile(
    r"""(?<!\S)
    (?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^\s='][^\s=]*))
    =
    (?P<value>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
    (?P<unit>[A-Za-z%]{0,8})
    (?=[;\s]|$)
    """,
    re.VERBOSE | re.ASCII,
)


class Printed(NamedTuple):
    """What a check printed, taken apart."""

    text: str
    measurements: tuple[Measurement, ...]


def read_output(output: str) -> Printed:
    """Take the output of a check apart."""
    first, _, rest = output.lstrip("\n").partition("\n")
    text, _, perfdata = first.partition("|")
    _, _, more = rest.partition("|")
    return Printed(_for_people(text), read_perfdata(f"{perfdata}\n{more}"))


def read_perfdata(perfdata: str) -> tuple[Measurement, ...]:
    """Return the numbers in `perfdata`; an unknown value (`U`) is none."""
    found: list[Measurement] = []
    for item in _ITEM.finditer(perfdata):
        value = float(item["value"])
        if math.isfinite(value):
            label = item["quoted"].replace("''", "'") if item["quoted"] else item["plain"]
            found.append(Measurement(label, value, item["unit"]))
        if len(found) == MEASUREMENTS_MAX:
            break
    return tuple(found)


def _for_people(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text.strip())
    return printable if len(printable) <= TEXT_MAX else printable[: TEXT_MAX - 1] + "…"
