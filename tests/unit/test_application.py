"""The parts of the application that are made on first use."""

from __future__ import annotations

from azure.identity.aio import ManagedIdentityCredential

from shared.application import Application
from shared.settings import Settings


async def test_what_remembers_something_between_runs_of_the_timer_is_made_once() -> None:
    settings = Settings.from_environment(
        {
            "PUBLIC_BASE_URL": "https://tickets.contoso.com",
            "TABLES_URL": "https://tables.contoso.com",
            "KEY_VAULT_URL": "https://contoso.vault.azure.net",
        }
    )
    application = Application.build(settings, ManagedIdentityCredential())
    assert application.maintenance.planner is application.maintenance.planner
    await application.aclose()
