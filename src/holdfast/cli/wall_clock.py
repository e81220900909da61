"""Instants for people. Inside, time counts from the boot of one host; here the wall clock's offset is added, at the end."""

from datetime import UTC, datetime, tzinfo

from holdfast.model.time import SECOND, Duration, Instant
from holdfast.model.value import Value


class WallClock(Value, frozen=True):
    """How an instant of one agent reads on a wall."""

    offset: Duration  # wall clock minus CLOCK_BOOTTIME
    zone: tzinfo | None = None  # None: the reader's own

    def moment(self, at: Instant) -> datetime:
        """Return the moment; whole microseconds are all that a calendar can say."""
        nanoseconds = at + self.offset
        whole, rest = divmod(nanoseconds, SECOND)
        return datetime.fromtimestamp(whole, UTC).replace(microsecond=rest // 1000).astimezone(self.zone)

    def time_of_day(self, at: Instant) -> str:
        """Return `14:03:25.490`."""
        return self.moment(at).strftime("%H:%M:%S.%f")[:-3]

    def day_and_time(self, at: Instant) -> str:
        """Return `2026-11-24 14:03:25`."""
        return self.moment(at).strftime("%Y-%m-%d %H:%M:%S")

    def short_time(self, at: Instant, now: Instant) -> str:
        """Return `14:03` if it is less than a day away from `now`, `2026-11-24 14:03` otherwise."""
        same_day = self.moment(at).date() == self.moment(now).date()
        return self.moment(at).strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M")

    def iso(self, at: Instant) -> str:
        """Return `2026-11-24T14:03:25.490+01:00`."""
        return self.moment(at).isoformat(timespec="milliseconds")
