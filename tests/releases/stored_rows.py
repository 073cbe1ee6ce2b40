"""Rows that releases have written, in JSON files beside this module, with names for the types that JSON lacks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

ENUM_COLUMNS = ("status", "kind", "portal", "priority", "source", "category", "delivery", "phase")
LAST_AT = "2026-03-02T09:40:00+00:00"

type Rows = dict[str, list[StoredRow]]


class StoredRow(dict[str, Any]):
    """A row as the Azure SDK returns it: its columns, and its etag beside them."""

    metadata: Mapping[str, Any] = {"etag": 'W/"1"'}


def read_rows(name: str) -> Rows:
    """Return the rows of a file, by table."""
    document = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return {table: [StoredRow(_values(row)) for row in rows] for table, rows in document.items()}


def of_the_next_release(row: StoredRow) -> StoredRow:
    """Return a row with an added column, members and values that this release does not know."""
    changed = StoredRow(row) | {"of_the_next_release": "kept"}
    changed |= {name: f"next_{row[name]}" for name in ENUM_COLUMNS if name in row}
    if "timeline" in row:
        changed["timeline"] = json.dumps(
            [*json.loads(row["timeline"]), ["next_event", LAST_AT, {"from": "a", "number_of_points": 3}]]
        )
    if "kinds" in row:
        kinds = {kind: settings | {"next_member": [1]} for kind, settings in json.loads(row["kinds"]).items()}
        changed["kinds"] = json.dumps(kinds)
        changed["later_kinds"] = json.dumps({"next_kind": {"enabled": True}})
        changed["portals"] = json.dumps([*json.loads(row["portals"]), "next_portal"])
    return StoredRow(changed)


def write_rows(name: str, rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    """Write such a file once, at a release."""
    document = {
        table: [{name: _plain(value) for name, value in row.items()} for row in some] for table, some in rows.items()
    }
    (FOLDER / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    match value:
        case {"datetime": text}:
            return datetime.fromisoformat(text)
        case {"bytes": text}:
            return base64.b64decode(text)
    return value


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return {"datetime": value.isoformat()}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
    return value
