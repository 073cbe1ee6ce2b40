"""The page about reminders: its example is a message of ours, and its code checks what we send."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from shared.reminders.addresses import new_signing_secret
from shared.reminders.views import ReminderEvent
from shared.webhooks.signing import signed_headers

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "reminders.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_example_is_a_message() -> None:
    example = json.loads(block("json"))
    assert json.loads(ReminderEvent.model_validate(example).model_dump_json()) == example


def test_the_schema_is_that_of_the_messages() -> None:
    stored = json.loads((DOCS / "reminder-event.schema.json").read_text(encoding="utf-8"))
    assert stored == ReminderEvent.model_json_schema(mode="serialization"), "run python -m sandbox.openapi_file"


def test_the_code_accepts_what_we_send_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(block("python"), names)
    secret, body = new_signing_secret(), block("json").encode()
    headers = signed_headers(secret, "20261125100000-5f2d7c1e9a4b8d30", int(time.time()), body)
    is_ours = names["is_ours"]
    assert is_ours(secret.reveal(), headers, body)
    assert not is_ours(secret.reveal(), headers, body + b" ")
    assert not is_ours(new_signing_secret().reveal(), headers, body)
    assert not is_ours(secret.reveal(), headers | {"webhook-id": "another"}, body)
    late = signed_headers(secret, "20261125100000-5f2d7c1e9a4b8d30", int(time.time()) - 301, body)
    assert not is_ours(secret.reveal(), late, body)
