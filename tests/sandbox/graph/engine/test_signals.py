"""When a measurement is made, and when it can be shown (Microsoft Graph §1.6)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.graph.engine.signals import cadence_of, newest_measurement

SHOWN = datetime(2026, 11, 24, 3, tzinfo=UTC)
SERVICES = ("MDO", "AzureAD", "Azure ATP", "MS Teams")


@given(
    service=st.sampled_from(SERVICES),
    seed=st.text(max_size=8),
    hours=st.integers(0, 24 * 60),
    changes=st.lists(st.timedeltas(timedelta(days=-50), timedelta(days=50)).map(SHOWN.__add__), max_size=4),
)
def test_a_measurement_is_old_enough_and_never_older_than_the_cadence(
    service: str, seed: str, hours: int, changes: list[datetime]
) -> None:
    shown_at = SHOWN + timedelta(hours=hours)
    cadence = cadence_of(service)
    measured = newest_measurement(service, seed, shown_at=shown_at, changed_at=changes)
    assert cadence.processing <= shown_at - measured <= cadence.processing + cadence.every
    assert newest_measurement(service, seed, shown_at=shown_at + timedelta(hours=1), changed_at=changes) >= measured


@pytest.mark.parametrize(
    ("service", "shortest", "longest"),
    [("MDO", 18, 48), ("Azure ATP", 30, 60), ("AzureAD", 16, 52), ("MS Teams", 36, 60)],
)
def test_a_change_shows_after_the_lag_of_its_service(service: str, shortest: int, longest: int) -> None:
    """A change reaches the snapshots of 03:00 after hours between the shortest and the longest lag."""
    lags = []
    for number in range(50):
        changed = SHOWN + timedelta(hours=number)
        shown_at = SHOWN
        while newest_measurement(service, str(number), shown_at=shown_at, changed_at=[changed]) < changed:
            shown_at += timedelta(days=1)
        lags.append((shown_at - changed) / timedelta(hours=1))
    # Entra and Teams may also happen to measure by schedule, before the additional measurement.
    assert min(lags) >= min(shortest, 16)
    assert max(lags) <= longest
    assert max(lags) - min(lags) > 4


@pytest.mark.parametrize(("service", "days"), [("AzureAD", 7), ("MS Teams", 30)])
def test_without_a_measurement_on_change_it_takes_up_to_a_week_or_a_month(service: str, days: int) -> None:
    lags = []
    for number in range(60):
        shown_at = SHOWN
        while newest_measurement(service, str(number), shown_at=shown_at) < SHOWN:
            shown_at += timedelta(days=1)
        lags.append((shown_at - SHOWN).days)
    assert days - 2 <= max(lags) <= days
    assert min(lags) <= 3
