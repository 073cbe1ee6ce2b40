"""Attempts to reach our own network through reminders, to read where they go, and to speak through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.certificates import Certificates
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import serving
from sandbox.webhooks.app import Fault, Receivers, create_app
from sandbox.webhooks.endpoints import Endpoint
from tests.fixtures.whole_app import WholeApp, refused

NAME = "[Sign in](https://evil.example) **now** <at>everyone</at>"


@dataclass
class Way:
    """A connection whose reminders go to both receivers."""

    app: WholeApp
    receivers: Receivers
    path: str
    addresses: tuple[str, str]
    page: str

    def test(self) -> list[dict[str, object]]:
        """Send a test message to each receiver, and return what became of it; with a new address, nobody waits."""
        self.app.megan.call("PUT", self.path, {"teams_address": self.addresses[0]})
        messages: list[dict[str, object]] = self.app.megan.call("POST", f"{self.path}/test")["messages"]
        return messages


@pytest.fixture(scope="module")
def way(app: WholeApp, certificates: Certificates) -> Iterator[Way]:
    connected = app.connected(display_name=NAME)
    receivers = Receivers()
    files = {"ssl_certfile": certificates.chain, "ssl_keyfile": certificates.key}
    with serving(configuration(create_app(receivers), **files)) as url:
        flow = receivers.new_flow()
        addresses = f"{url}{flow.path}", f"{url}/hooks/of-contoso"
        path = f"{connected.path}/reminders"
        app.canary.plant("address of a workflow", flow.signature)
        app.canary.plant("address of a webhook", "/hooks/of-contoso")
        stored = app.megan.call("PUT", path, {"teams_address": addresses[0], "webhook_address": addresses[1]})
        receivers.endpoints["of-contoso"] = Endpoint(stored["new_signing_secret"])
        yield Way(app, receivers, path, addresses, f"/configuration/{connected.connection_id}/reminders")


@pytest.fixture(autouse=True)
def nothing_has_arrived(way: Way) -> None:
    way.receivers.arrived.clear()
    way.receivers.faults.clear()


@pytest.mark.parametrize(
    "address",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/metadata/instance",
        "https://168.63.129.16/",
        "https://localhost:8443/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://vault.internal/",
        "https://me:secret@hooks.contoso.com/",
        "http://hooks.contoso.com/",
        "gopher://hooks.contoso.com/",
    ],
)
def test_no_reminder_goes_into_our_own_network(way: Way, address: str) -> None:
    problem = way.app.megan.ask("PUT", way.path, {"teams_address": address, "webhook_address": address})
    assert len(refused(problem, 422, "invalid_reminders")["errors"]) == 2
    assert way.receivers.arrived == []


def test_no_answer_shows_where_reminders_go(way: Way) -> None:
    """The canary looks everywhere else at the end of the session."""
    way.test()
    secret = way.receivers.endpoints["of-contoso"].secret or ""
    page = way.app.megan.ask("GET", way.page, headers={"Accept": "text/html"})
    for answer in (page, way.app.megan.ask("GET", way.path), way.app.megan.ask("GET", "/api/connections")):
        assert answer.status_code == 200
        assert not any(hidden in answer.text for hidden in ("sig=", "of-contoso", secret))


def test_a_reminder_proves_who_sent_it(way: Way) -> None:
    assert [each["code"] for each in way.test()] == ["accepted", "accepted"]
    other, way.receivers.endpoints["of-contoso"] = (
        way.receivers.endpoints["of-contoso"],
        Endpoint("whsec_" + "A" * 43 + "="),
    )
    assert [each["code"] for each in way.test()] == ["accepted", "signature_refused"]
    way.receivers.endpoints["of-contoso"] = other


def test_no_name_means_anything_in_a_card(way: Way) -> None:
    way.test()
    (card,) = way.receivers.arrived[0]["cards"]
    blocks = [each["type"] for each in card["body"]]
    assert set(blocks) == {"RichTextBlock"}, "these read no Markdown"
    assert "entities" not in card["msteams"]
    (title,) = card["body"][0]["inlines"]
    assert "[Sign in](https://evil.example)" in title["text"]
    assert "<at>" not in title["text"]
    assert {each["url"].split("/")[2] for each in card["actions"]} == {way.app.host.public_url.split("/")[2]}


def test_a_receiver_that_leads_elsewhere_is_not_followed(way: Way) -> None:
    elsewhere = way.addresses[1]
    way.receivers.faults.append(Fault("redirect", location=elsewhere))
    assert [each["code"] for each in way.test()] == ["redirected", "accepted"]
    assert len(way.receivers.arrived) == 1


def test_a_removed_connection_has_no_receivers(way: Way) -> None:
    connected = way.app.connected()
    path = f"{connected.path}/reminders"
    way.app.megan.call("PUT", path, {"teams_address": way.addresses[0]})
    way.app.megan.call("DELETE", connected.path)
    refused(way.app.megan.ask("GET", path), 404, "connection_not_found")
    way.app.megan.call("PUT", connected.path, dict(connected.request))
    assert way.app.megan.get(path)["has_teams_address"] is False
