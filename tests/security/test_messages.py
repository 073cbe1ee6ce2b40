"""Forged messages in the queues by which hosts share out their work."""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
from collections.abc import Callable
from xml.sax.saxutils import escape

import httpx

from sandbox.world import sample_settings, table_service_headers
from tests.fixtures.whole_app import WholeApp
from tests.integration.test_fan_out import rows

PLANTED = "planted in a message"
MALFORMED = (
    PLANTED,
    json.dumps([PLANTED]),
    json.dumps({"connections": [PLANTED] * 10_000})[:40_000],
    json.dumps({"connections": [PLANTED * 100]}),
    json.dumps({"connections": [{"id": PLANTED}]}),
    json.dumps({"tenants": [PLANTED]}),
)
NAMED = (
    json.dumps({"connections": ["nobody", "../connections", "a/b", "'; drop", PLANTED]}),
    json.dumps({"connections": ["nobody"], "id": "x", "DequeueCount": 0, "PopReceipt": PLANTED}),
)


def test_forged_messages_change_nothing(start_app: Callable[..., WholeApp]) -> None:
    app = start_app(has_queues=True, options=["--no-timers", "--pace", "60"])
    connected = app.configured()
    app.run_timer()
    before = rows(app)
    queue = sample_settings()["MAINTAIN_QUEUE"]
    certificates = app.world.certificates
    headers = table_service_headers(certificates) | {"x-ms-version": "2021-12-02"}
    trusted = ssl.create_default_context(cafile=certificates.authority)
    with httpx.Client(base_url=app.account.queue_url, headers=headers, verify=trusted) as client:

        def put(text: str) -> None:
            encoded = base64.b64encode(text.encode()).decode()
            body = f"<QueueMessage><MessageText>{escape(encoded)}</MessageText></QueueMessage>"
            client.post(f"/{queue}/messages", content=body).raise_for_status()

        def waiting(name: str) -> int:
            answer = client.get(f"/{name}?comp=metadata")
            return int(answer.headers.get("x-ms-approximate-messages-count", 0))

        for text in (*NAMED, *MALFORMED, json.dumps({"connections": [connected.connection_id]})):
            put(text)
        deadline = time.monotonic() + 40
        while waiting(queue) or waiting(f"{queue}-poison") < len(MALFORMED):
            assert time.monotonic() < deadline, app.host.process.tail()
            time.sleep(0.2)
        assert waiting(f"{queue}-poison") == len(MALFORMED), "what names no connection is only forgotten"
    after = rows(app)
    assert set(after) == {connected.connection_id}
    assert after[connected.connection_id]["due_at"] == before[connected.connection_id]["due_at"], "it was not due"
    own_lines = [line for line in app.host.process.text().splitlines() if re.search(r'"event"', line)]
    assert own_lines
    assert not [line for line in own_lines if PLANTED in line], "the product's log repeats nothing of a message"
