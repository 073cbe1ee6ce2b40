"""The clock of a simulated service: real time unless a test moves or stops it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The service's time. Moving it moves everything: token expiry, stored times, scheduled jobs.

    >>> clock = Clock.stopped_at(datetime(2030, 1, 1, tzinfo=UTC))
    >>> clock.advance(90)
    >>> clock.now().isoformat()
    '2030-01-01T00:01:30+00:00'
    """

    def __init__(self) -> None:
        self._offset = timedelta()
        self._stopped_at: datetime | None = None

    @classmethod
    def stopped_at(cls, at: datetime) -> "Clock":
        """Return a clock that is stopped at `at` (aware) until it is advanced."""
        clock = cls()
        clock.stop(at)
        return clock

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""
        if self._stopped_at is not None:
            return self._stopped_at
        return datetime.now(UTC) + self._offset

    def set(self, at: datetime) -> None:
        """Jump to `at` (aware); a running clock keeps running from there, a stopped one stays stopped."""
        at = _require_aware(at)
        if self._stopped_at is not None:
            self._stopped_at = at
        else:
            self._offset = at - datetime.now(UTC)

    def advance(self, seconds: float) -> None:
        """Move forward (or, if negative, back) by `seconds`."""
        if self._stopped_at is not None:
            self._stopped_at += timedelta(seconds=seconds)
        else:
            self._offset += timedelta(seconds=seconds)

    def stop(self, at: datetime | None = None) -> None:
        """Stop, at `at` or at the present."""
        self._stopped_at = _require_aware(at) if at is not None else self.now()

    def run(self) -> None:
        """Run on from the present time of the clock."""
        shown = self.now()
        self._stopped_at = None
        self._offset = shown - datetime.now(UTC)

    def reset(self) -> None:
        """Return to real time."""
        self._stopped_at = None
        self._offset = timedelta()


def _require_aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a clock is set to an aware datetime")
    return at.astimezone(UTC)
