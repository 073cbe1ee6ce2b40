"""Settings that a token depends on."""

from __future__ import annotations

import pytest

from shared.settings import Settings, SettingsInvalid

NEEDED = {
    "PUBLIC_BASE_URL": "https://tickets.contoso.com",
    "KEY_VAULT_URL": "https://vault.example/",
    "TABLES_URL": "https://tables.example/",
}


@pytest.mark.parametrize("name", ["GRAPH_URL", "SECURITY_PORTAL_URL"])
class TestOrigins:
    @pytest.mark.parametrize(
        "value", ["https://graph.microsoft.us", "https://dod-graph.microsoft.us", "https://127.0.0.1:8444"]
    )
    def test_an_origin_is_accepted(self, name: str, value: str) -> None:
        settings = Settings.from_environment(NEEDED | {name: value})
        assert value in {settings.graph_url, settings.security_portal_url}

    @pytest.mark.parametrize(
        "value",
        [
            "http://graph.microsoft.com",
            "https://graph.microsoft.com/",
            "https://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com?x",
            "https://graph.microsoft.com@elsewhere.example",
            "https://Graph.microsoft.com",
            "https://graph.microsoft.com\n",
            "https://",
        ],
    )
    def test_anything_else_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(SettingsInvalid) as caught:
            Settings.from_environment(NEEDED | {name: value})
        assert name in caught.value.faults


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("VERIFY_AFTER_H", 1, 2160),
        ("VERIFY_AFTER_ENTRA_DAYS", 1, 90),
        ("VERIFY_AFTER_TEAMS_DAYS", 1, 90),
        ("REGRESSION_QUIET_DAYS", 0, 90),
        ("EVIDENCE_RETENTION_DAYS", 30, 3650),
    ],
)
def test_waiting_times_have_limits(name: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(Settings.from_environment(NEEDED | {name: str(value)}), name.lower()) == value
    for value in (least - 1, most + 1):
        with pytest.raises(SettingsInvalid) as caught:
            Settings.from_environment(NEEDED | {name: str(value)})
        assert name in caught.value.faults
