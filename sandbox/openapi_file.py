"""``make openapi``: writes the OpenAPI document, and the schema of reminders to a webhook, to files.

They are for people and tools without a running app.
"""

from __future__ import annotations

import json
from typing import Final

import function_app  # noqa: F401 - declares every operation
from sandbox.world import ROOT
from shared.reminders.views import ReminderEvent
from shared.triggers.openapi import openapi_document
from shared.triggers.routes import operations

FILE: Final = ROOT / "docs" / "openapi.json"
EVENT_FILE: Final = ROOT / "docs" / "reminder-event.schema.json"
SERVER: Final = "https://connector.example.com"


def openapi_text() -> str:
    """Return the file's content."""
    return json.dumps(openapi_document(operations(), SERVER), indent=2, ensure_ascii=False) + "\n"


def event_schema_text() -> str:
    """Return the schema of the body of a signed webhook."""
    return json.dumps(ReminderEvent.model_json_schema(mode="serialization"), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(openapi_text(), encoding="utf-8")
    EVENT_FILE.write_text(event_schema_text(), encoding="utf-8")
