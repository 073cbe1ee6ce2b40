"""The canary finds what it is meant to find; what it finds at the end of a session fails the session."""

from __future__ import annotations

from sandbox.servicenow.control_client import ControlClient
from sandbox.world import World
from tests.fixtures.canary import Canary
from tests.fixtures.whole_app import WholeApp

NAME = "a name that stands everywhere"


def test_it_finds_what_stands_in_logs_rows_and_answers(app: WholeApp, world: World, control: ControlClient) -> None:
    connected = app.connected(display_name=NAME)
    answer = app.megan.ask("GET", connected.path)
    canary = Canary(world, control)
    canary.plant("display name", NAME)
    canary.plant("route", "/api/oauth/callback")
    canary.watch(app.account)
    canary.saw(answer)
    assert set(canary.sightings()) >= {
        f"route in {app.host.process.log.name}",
        f"display name in the answer to GET {connected.path}",
        "display name in table connections",
    }


def test_it_knows_every_kind_of_secret(app: WholeApp) -> None:
    app.connected()
    app.canary.collect()
    assert set(app.canary.kinds.values()) >= {
        "access_token",
        "refresh_token",
        "client secret",
        "code",
        "cookie",
        "PKCE verifier",
    }
