"""Date-times as the instance stores them."""

from datetime import UTC, datetime

GLIDE_DATE_TIME = "%Y-%m-%d %H:%M:%S"


def to_glide(at: datetime) -> str:
    """Return `at` (aware) as the instance stores it: UTC, no zone, whole seconds (ServiceNow §2.4)."""
    return at.astimezone(UTC).strftime(GLIDE_DATE_TIME)


def from_glide(text: str) -> datetime:
    """Return the aware UTC datetime of a stored date-time. Raises ValueError for any other text."""
    return datetime.strptime(text, GLIDE_DATE_TIME).replace(tzinfo=UTC)
