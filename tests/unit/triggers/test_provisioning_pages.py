"""The provisioning page: what it asks for when it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from shared.check.findings import Finding
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.storage.rows import open_value
from shared.triggers.provisioning_pages import PATH, provisioning_page, provisioning_save
from tests.unit.connections.surroundings import CLIENT_SECRET, Surroundings
from tests.unit.triggers.page_calls import MANAGER, Pages, pages

__all__ = ["pages"]


async def interrupted_switch(app: Surroundings, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Switch to client credentials; the host dies before the tokens of the consent are gone."""
    await app.connected()
    with monkeypatch.context() as dying:
        dying.setattr(app.secrets, "remove_secret", _die)
        with pytest.raises(RuntimeError):
            await app.configured(grant="client_credentials", client_secret=...)
    app.clock.advance(60)
    return app.stored()


async def _die(name: str) -> None:
    raise RuntimeError("the host dies")


async def test_after_an_interrupted_switch_nobody_types_the_secret_again(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Surroundings()
    before = await interrupted_switch(app, monkeypatch)
    assert before.status is ConnectionStatus.NOT_CONFIGURED
    pages.application.connection_store = app.store
    pages.application.configuration = app.configuration
    fields = {
        "connection_id": "contoso",
        "display_name": before.display_name,
        "instance": before.instance,
        "client_id": before.client_id,
        "client_secret": "",
        "integration_user": before.integration_user,
        "grant": Grant.AUTHORIZATION_CODE.value,
    }
    answer = await pages.post(provisioning_save, f"/{PATH}", list(fields.items()), caller=MANAGER)
    assert answer.headers.get("Location") == f"/{PATH}?connection_id=contoso&done=saved#next"
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert app.secrets.current == {CLIENT_SECRET}


async def nothing_found(connection: Connection) -> Sequence[Finding]:
    return ()


@pytest.mark.parametrize("stored", ["authorization_code", "client_credentials", "of_a_later_release"])
@pytest.mark.parametrize("sent", ["", "made_up"])
async def test_a_grant_that_nobody_knows_is_a_fault_or_stays(pages: Pages, stored: str, sent: str) -> None:
    app = Surroundings()
    configured = await app.configured()
    await app.store.update_connection(replace(configured, grant=open_value(Grant, stored)))
    pages.application.connection_store = app.store
    pages.application.configuration = app.configuration
    pages.application.check = SimpleNamespace(before_consent=nothing_found)
    pages.application.settings = SimpleNamespace(redirect_uri="https://connector/", egress_addresses=())
    pages.application.creating_roles = {}
    path = f"/{PATH}?connection_id=contoso"
    shown = await pages.get(provisioning_page, path, caller=MANAGER)
    assert shown.status_code == 200
    fields = {"connection_id": "contoso", "instance": "contoso", "grant": sent, "display_name": ""}
    answer = await pages.post(provisioning_save, path, list(fields.items()), caller=MANAGER)
    assert answer.status_code == 422
    assert app.stored().grant.value == stored
