"""The receivers do what docs/reference/webhooks.md says, whoever sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.in_process import InProcessTransport
from sandbox.webhooks.app import Receivers, create_app
from sandbox.webhooks.endpoints import Endpoint

CARD = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "Hello"}]}
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
NOW = 1_800_000_000


@pytest.fixture
def receivers() -> Receivers:
    return Receivers(clock=lambda: float(NOW))


@pytest.fixture
def client(receivers: Receivers) -> Iterator[httpx.Client]:
    transport = InProcessTransport(create_app(receivers))
    with httpx.Client(transport=transport, base_url="https://receivers.example") as opened:
        yield opened
    transport.end()


def message(card: object = CARD) -> dict[str, Any]:
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (message(), None),
        ({"text": "Hello"}, "foreach"),
        (message({**CARD, "version": "9.9"}), "version"),
        (message({**CARD, "body": [{"type": "Marquee"}]}), "Marquee"),
        (message({**CARD, "actions": [{"type": "Action.OpenUrl", "url": "/here"}]}), "absolute"),
    ],
)
def test_a_workflow_answers_202_whatever_becomes_of_its_run(
    receivers: Receivers, client: httpx.Client, body: object, failure: str | None
) -> None:
    answer = client.post(receivers.new_flow().path, json=body)
    assert (answer.status_code, answer.content) == (202, b"")
    (run,) = receivers.arrived
    assert (run["failure"] is None) is (failure is None)
    assert (failure or "") in (run["failure"] or "")
    assert "Received messages" in client.get("/").text


@pytest.mark.parametrize(
    ("changes", "is_accepted"),
    [
        ({}, True),
        ({"webhook-signature": "v1,wrong v1,{right}"}, True),
        ({"webhook-signature": "v1,wrong"}, False),
        ({"webhook-id": "another"}, False),
        ({"webhook-timestamp": str(NOW - 301)}, False),
        ({"webhook-timestamp": "soon"}, False),
    ],
)
def test_a_program_checks_signature_and_time(
    receivers: Receivers, client: httpx.Client, changes: dict[str, str], is_accepted: bool
) -> None:
    receivers.endpoints["x"] = Endpoint(SECRET)
    body = b'{"type": "test"}'
    right = base64.b64encode(hmac.digest(b"k" * 24, f"1.{NOW}.".encode() + body, hashlib.sha256)).decode()
    headers = {"webhook-id": "1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,{right}"}
    headers |= {name: value.format(right=right) for name, value in changes.items()}
    answer = client.post("/hooks/x", content=body, headers=headers)
    assert answer.status_code == (204 if is_accepted else 401)
