"""The home page of people with some roles and not others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.triggers.principal import Role
from shared.web.html import render
from shared.words.language import languages


@pytest.mark.parametrize("code", languages())
def test_whoever_may_see_no_tickets_is_not_asked_to_connect_again(code: str) -> None:
    t = languages()[code]
    caller = SimpleNamespace(name="Alex Wilber")
    call = SimpleNamespace(caller=caller, may=lambda role: role is Role.CONNECTIONS_MANAGE)
    values = {"call": call, "Role": Role, "address": "/", "here": "/", "zones": {}, "banners": [], "cards": []}
    html = render("home.html", t, connected=True, manage_address="/configuration/contoso", **values)
    assert t("home.no_role") in html
    assert "/configuration/contoso" in html
    assert t("home.connect.title") not in html
    before = render("home.html", t, connected=False, manage_address="/ticketProvisioning", **values)
    assert t("home.connect.title") in before
    assert t("home.no_role") not in before
