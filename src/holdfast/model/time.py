"""Time as the core knows it: whole nanoseconds, handed in, never fetched.

An `Instant` counts nanoseconds on this host's CLOCK_BOOTTIME. It never crosses hosts and means
nothing after a reboot; rendering adds the wall clock's offset at the very end.
"""

import re
from typing import TypeAlias

Instant: TypeAlias = int  # nanoseconds on this host's CLOCK_BOOTTIME
Duration: TypeAlias = int  # nanoseconds

NANOSECOND: Duration = 1
MILLISECOND: Duration = 1_000_000
SECOND: Duration = 1_000_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR

_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> Duration:
    """Return the duration that `text` names, such as `500ms`, `1.5s` or `2m`; ValueError otherwise."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is not a duration; write a number and a unit, such as 500ms, 2s, 5m, 1h or 1d"
        raise ValueError(message)
    return round(float(match[1]) * _UNITS[match[2]])


def show_duration(duration: Duration) -> str:
    """Return `duration` for people, short and with its unit: `340ms`, `2.4s`, `5m 10s`, `3h 2m`."""
    if duration < 0:
        return "-" + show_duration(-duration)
    if duration < MILLISECOND:
        return f"{duration / MILLISECOND:.2g}ms" if duration else "0ms"
    if duration < SECOND:
        return f"{duration / MILLISECOND:.0f}ms"
    if duration < MINUTE:
        return f"{duration / SECOND:.3g}s"
    for unit, below, name, below_name in (
        (MINUTE, SECOND, "m", "s"),
        (HOUR, MINUTE, "h", "m"),
        (DAY, HOUR, "d", "h"),
    ):
        if unit == DAY or duration < unit * (60 if unit < HOUR else 24):
            whole, rest = divmod(duration, unit)
            return f"{whole}{name}" + (f" {rest // below}{below_name}" if rest // below else "")
    raise AssertionError(duration)
