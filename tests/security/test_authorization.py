"""Attacks on an authorization, from outside the running app."""

from __future__ import annotations

import pytest

from tests.fixtures.whole_app import WholeApp, refused

pytestmark = pytest.mark.usefixtures("calm")


def test_a_code_never_reaches_an_instance_that_did_not_issue_it(app: WholeApp) -> None:
    """Somebody changes the connection while an administrator is consenting at the old instance."""
    connected = app.configured()
    callback = app.consent(connected)
    elsewhere = app.world.servicenow.url.replace("127.0.0.1", "localhost")
    changed = app.megan.ask("PUT", connected.path, {**connected.request, "instance": elsewhere})
    assert changed.json()["instance"] == elsewhere
    before = len(app.control.requests("/oauth_token.do"))
    refused(app.megan.visit(callback), 409, "authorization_superseded")
    assert len(app.control.requests("/oauth_token.do")) == before, "neither code nor verifier was sent"
    app.megan.ask("PUT", connected.path, connected.request)
    assert app.megan.visit(callback).status_code == 303, "nothing was used up"
