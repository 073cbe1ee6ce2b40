"""The form that makes tickets for several recommendations: its fields, the request that they mean, and its faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.errors import FixRequest
from shared.recommendations.requests import Mode
from shared.triggers.form_faults import Shown, fault_texts
from shared.words.language import Language

_CHOSEN: Final = ("assignment_group", "assigned_to", "configuration_item")
FIELDS: Final = ("connection_id", "mode", "kind", "priority", "due_date", "create_another", *_CHOSEN)
_FIELD_OF_CODE: Final = {
    "kind_not_enabled": "kind",
    "too_many_recommendations": "mode",
    "connection_not_found": "connection_id",
    "connection_ambiguous": "connection_id",
    "connection_not_authorized": "connection_id",
    "tenant_other_connection": "connection_id",
}


def sent_values(form: Mapping[str, str]) -> dict[str, str]:
    """Return the form's fields; one ticket for each unless the form says otherwise."""
    return {name: form.get(name, "") for name in FIELDS} | {"mode": form.get("mode") or Mode.EACH.value}


def batch_body(tenant_id: str, keys: Sequence[str], values: Mapping[str, str]) -> dict[str, object]:
    """Return the request that the form means; what it leaves empty is suggested by each recommendation."""
    chosen = {name: values[name] for name in ("connection_id", "priority", "due_date", *_CHOSEN) if values[name]}
    return {
        "tenant_id": tenant_id,
        "recommendation_ids": list(keys),
        "mode": values["mode"],
        "kind": values["kind"],
        "create_another": values["create_another"] == "true",
        **chosen,
    }


def batch_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code=_FIELD_OF_CODE, shown=_shown)


def _shown(pointer: Sequence[str]) -> Shown:
    return Shown(pointer[0] if pointer[0] in FIELDS else "", f"fault.{pointer[0]}")
