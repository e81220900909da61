"""Kinds of how much: numbers, durations, sizes. A duration or a size without its unit is never guessed."""

import re

from holdfast.config.document import Scalar
from holdfast.config.kinds import Kind, RefusedError, Schema
from holdfast.config.scope import assignment
from holdfast.model import time

_DURATION_LIKE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")
_UNITS = {
    **dict.fromkeys(("millis", "milliseconds", "msec", "ms"), "ms"),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
_SIZES = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}


class Whole(Kind, frozen=True):
    """A whole number within bounds."""

    least: int
    most: int

    def parse(self, scalar: Scalar) -> int:
        """Return the number."""
        if not re.fullmatch(r"-?(0|[1-9]\d{0,17})", scalar.text, re.ASCII):
            raise RefusedError(f"must be {self.words}")
        number = int(scalar.text)
        if scalar.tag != "int":
            raise RefusedError(
                f"must be {self.words}", f"write it without quotes: {assignment(scalar, scalar.text)}"
            )
        if not self.least <= number <= self.most:
            raise RefusedError(f"must be {self.words}")
        return number

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"a whole number from {self.least} to {self.most}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Number(Kind, frozen=True):
    """A number within bounds, which belong to it unless `is_positive` leaves out zero."""

    least: float
    most: float
    is_positive: bool = False

    def parse(self, scalar: Scalar) -> float:
        """Return the number."""
        if not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", scalar.text, re.ASCII):
            hint = "write a share, such as 0.5 for 50%" if scalar.text.endswith("%") else ""
            raise RefusedError(f"must be {self.words}", hint)
        number = float(scalar.text)
        if scalar.tag not in ("int", "float"):
            raise RefusedError(
                f"must be {self.words}", f"write it without quotes: {assignment(scalar, scalar.text)}"
            )
        if not self.least <= number <= self.most or (self.is_positive and number == 0):
            raise RefusedError(f"must be {self.words}")
        return number

    @property
    def words(self) -> str:
        """What is allowed."""
        if self.is_positive:
            return f"a number greater than 0, at most {self.most:g}"
        return f"a number from {self.least:g} to {self.most:g}"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        lowest = {"exclusiveMinimum": 0} if self.is_positive else {"minimum": self.least}
        return {"type": "number", "maximum": self.most, **lowest}


class Span(Kind, frozen=True):
    """A duration within bounds. A bare number is refused: nobody remembers whether it meant seconds."""

    least: time.Duration = time.MILLISECOND
    most: time.Duration = 365 * time.DAY

    def parse(self, scalar: Scalar) -> time.Duration:
        """Return the duration."""
        try:
            duration = time.parse_duration(scalar.text)
        except (ValueError, OverflowError):
            raise RefusedError(f"must be {self.words}", self._hint(scalar)) from None
        if not self.least <= duration <= self.most:
            least, most = (time.show_duration(bound) for bound in (self.least, self.most))
            raise RefusedError(f"must be from {least} to {most}")
        return duration

    def _hint(self, scalar: Scalar) -> str:
        like = _DURATION_LIKE.fullmatch(scalar.text.strip())
        if like is None or like[2].lower() not in _UNITS:
            return ""
        return f"write {assignment(scalar, like[1] + _UNITS[like[2].lower()])}"

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a duration such as 500ms, 2s or 5m"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": r"^\s*\d+(\.\d+)?(ms|s|m|h|d)\s*$"}

    def written(self, value: time.Duration) -> str:
        """Return the duration with its unit."""
        return time.show_duration(value)


class Size(Kind, frozen=True):
    """A number of bytes, with its unit."""

    least: int
    most: int

    def parse(self, scalar: Scalar) -> int:
        """Return the number of bytes."""
        match = re.fullmatch(r"(\d{1,12})\s?([kKMG]?i?B)", scalar.text, re.ASCII)
        if match is None or match[2] not in _SIZES:
            hint = f"write {assignment(scalar, scalar.text + 'B')}" if scalar.text.isdecimal() else ""
            raise RefusedError(f"must be {self.words}", hint)
        size = int(match[1]) * _SIZES[match[2]]
        if not self.least <= size <= self.most:
            raise RefusedError(f"must be from {self.written(self.least)} to {self.written(self.most)}")
        return size

    @property
    def words(self) -> str:
        """What is allowed."""
        return "a size such as 500kB, 10MB or 1GiB"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": rf"^\d+\s?({'|'.join(_SIZES)})$"}

    def written(self, value: int) -> str:
        """Return the size with the largest unit that divides it."""
        for unit in ("GB", "MB", "kB"):
            if value % _SIZES[unit] == 0:
                return f"{value // _SIZES[unit]}{unit}"
        return f"{value}B"
