"""Messages to the receivers of the sandbox, which know nothing of our sender."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from sandbox.certificates import Certificates
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import serving
from sandbox.webhooks.app import Fault, Receivers, create_app
from sandbox.webhooks.endpoints import Endpoint
from sandbox.webhooks.workflows import Switches
from shared.clock import system_clock
from shared.outbound.transport import Limits, Transport
from shared.reminders.addresses import new_signing_secret
from shared.reminders.links import Links
from shared.reminders.model import Message, Receiver, Result, ResultCode, TicketLine, Why
from shared.secret import Secret
from shared.webhooks import sender as module
from shared.webhooks.sender import WebhookSender
from tests.unit.storage.test_reminder_rows import MESSAGE

LINKS = Links("https://tickets.contoso.com")
TO_TEAMS = replace(MESSAGE, receiver=Receiver.TEAMS)
TO_WEBHOOK = replace(MESSAGE, receiver=Receiver.WEBHOOK)


@pytest.fixture(scope="module")
def served(certificates: Certificates) -> Iterator[tuple[Receivers, str]]:
    receivers = Receivers()
    files = {"ssl_certfile": certificates.chain, "ssl_keyfile": certificates.key}
    with serving(configuration(create_app(receivers), **files)) as url:
        yield receivers, url


@pytest.fixture
def receivers(served: tuple[Receivers, str]) -> Receivers:
    receivers, _ = served
    receivers.faults, receivers.arrived, receivers.switches = [], [], Switches()
    return receivers


@pytest.fixture
async def outbound() -> AsyncIterator[Transport]:
    transport = Transport()
    yield transport
    await transport.aclose()


class Way:
    """A sender and the addresses of two receivers."""

    def __init__(self, receivers: Receivers, url: str, outbound: Transport) -> None:
        self.flow = receivers.new_flow()
        self.teams = Secret(url + self.flow.path)
        self.secret = new_signing_secret()
        receivers.endpoints["ours"] = Endpoint(self.secret.reveal())
        self.webhook = Secret(f"{url}/hooks/ours")
        self.sender = WebhookSender(outbound, LINKS, system_clock, ["127.0.0.1"])

    async def send(self, message: Message) -> Result:
        address = self.teams if message.receiver is Receiver.TEAMS else self.webhook
        return await self.sender.send(message, address, self.secret)


@pytest.fixture
def way(receivers: Receivers, served: tuple[Receivers, str], outbound: Transport) -> Way:
    return Way(receivers, served[1], outbound)


async def test_a_workflow_shows_the_card(way: Way, receivers: Receivers) -> None:
    assert await way.send(TO_TEAMS) == Result(ResultCode.ACCEPTED, 202)
    (run,) = receivers.arrived
    assert run["failure"] is None
    (card,) = run["cards"]
    shown = json.dumps(card, ensure_ascii=False)
    assert "対応が必要：Contoso 本社" in shown
    assert "https://tickets.contoso.com/tickets?show=overdue&connection=contoso" in shown
    assert f"https://tickets.contoso.com/tickets/{'a' * 32}" in shown


async def test_a_program_checks_what_arrives_and_recognises_a_repetition(way: Way, receivers: Receivers) -> None:
    assert await way.send(TO_WEBHOOK) == Result(ResultCode.ACCEPTED, 204)
    assert await way.send(TO_WEBHOOK) == Result(ResultCode.ACCEPTED, 204)
    first, second = receivers.arrived
    assert (first["id"], first["is_repeated"], second["is_repeated"]) == (MESSAGE.message_id, False, True)
    assert first["event"] == second["event"]
    assert first["event"]["data"]["connection"]["id"] == "contoso"


async def test_another_secret_is_refused(way: Way, receivers: Receivers) -> None:
    way.secret = new_signing_secret()
    assert (await way.send(TO_WEBHOOK)).code is ResultCode.SIGNATURE_REFUSED


@pytest.mark.parametrize("off_status", [400, 404])
async def test_a_workflow_that_is_turned_off(way: Way, receivers: Receivers, off_status: int) -> None:
    way.flow.is_on, receivers.switches.off_status = False, off_status
    assert await way.send(TO_TEAMS) == Result(ResultCode.GONE, off_status)


async def test_a_workflow_whose_address_is_cut_off_or_wants_a_token(way: Way) -> None:
    whole, way.teams = way.teams, Secret(way.teams.reveal().partition("&sig=")[0])
    assert (await way.send(TO_TEAMS)).code is ResultCode.SIGNATURE_REFUSED
    way.teams, way.flow.wants_token = whole, True
    assert (await way.send(TO_TEAMS)).code is ResultCode.SIGNATURE_REFUSED


@pytest.mark.parametrize("message", [TO_TEAMS, TO_WEBHOOK], ids=lambda message: message.receiver)
@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("throttled", ResultCode.THROTTLED, 429),
        ("too_large", ResultCode.TOO_LARGE, 413),
        ("gone", ResultCode.GONE, 410),
        ("unavailable", ResultCode.FAILED, 502),
        ("redirect", ResultCode.REDIRECTED, 307),
        ("huge_answer", ResultCode.ACCEPTED, 200),
        ("huge_refusal", ResultCode.NO_ANSWER, None),
        ("reset_after_accepting", ResultCode.NO_ANSWER, None),
    ],
)
async def test_each_fault_has_its_result(
    way: Way, receivers: Receivers, message: Message, fault: str, code: ResultCode, status: int | None
) -> None:
    receivers.faults.append(Fault(fault, retry_after_s=90))
    result = await way.send(message)
    assert (result.code, result.status) == (code, status)
    assert result.retry_after_s == (90 if fault == "throttled" else None)
    receivers.arrived.clear()
    assert (await way.send(message)).is_delivered
    assert len(receivers.arrived) == 1


async def test_a_429_need_not_say_how_long_to_wait(way: Way, receivers: Receivers) -> None:
    receivers.switches.sends_retry_after = False
    receivers.faults.append(Fault("throttled"))
    assert await way.send(TO_TEAMS) == Result(ResultCode.THROTTLED, 429)


async def test_a_receiver_that_hangs_is_left(way: Way, receivers: Receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMITS", Limits(post_s=0.1, post_total_s=0.1))
    receivers.faults.append(Fault("hang"))
    assert await way.send(TO_TEAMS) == Result(ResultCode.NO_ANSWER)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_receiver_in_our_own_network_is_reached(way: Way, receivers: Receivers, host: str) -> None:
    """The operator's list names 127.0.0.1 in these tests; without it, nothing is sent."""
    sender = WebhookSender(way.sender.outbound, LINKS, system_clock)
    address = Secret(way.teams.reveal().replace("127.0.0.1", host))
    assert await sender.send(TO_TEAMS, address, None) == Result(ResultCode.ADDRESS_NOT_PUBLIC)
    assert receivers.arrived == []


@pytest.mark.parametrize("refuses_large", [True, False])
async def test_the_largest_card_arrives(way: Way, receivers: Receivers, refuses_large: bool) -> None:
    receivers.switches.refuses_large = refuses_large
    line = TicketLine("b" * 32, "😀" * 150, Why.OVERDUE, "INC0010001", None, 9)
    content = replace(MESSAGE.content, connection_name="漢" * 100, tickets=(line,) * 200)
    assert (await way.send(replace(TO_TEAMS, content=content))).is_delivered
    assert receivers.arrived[0]["failure"] is None
    assert receivers.arrived[0]["bytes"] < 21_000
