"""The form of a new ticket: its fields, the request that they mean, and where it shows faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.errors import FixRequest
from shared.triggers.form_faults import Shown, fault_texts
from shared.triggers.links import CONNECTION, TICKET_CHOICES
from shared.words.language import Language

FIELDS: Final = (
    "connection_id",
    "kind",
    "portal",
    "name",
    "description",
    "priority",
    "due_date",
    "source",
    "category",
    "link",
    "recommendation_id",
    "tenant_id",
    "recommendation",
    "create_another",
    "assignment_group",
    "assigned_to",
    "configuration_item",
)
NAMED: Final = {"/assignment_group": "sys_user_group", "/assigned_to": "sys_user", "/configuration_item": "cmdb_ci"}
"""The tables of the fields in which people type a name or a ``sys_id``."""
FIELD_OF_PARAMETER: Final = {**{name: name for name in (*TICKET_CHOICES, "due_date")}, CONNECTION: "connection_id"}
"""The form's field for each parameter of a link that the form may not understand."""
_HIDDEN_FIELDS: Final = frozenset({"recommendation_id", "tenant_id", "recommendation"})
"""Come with a link, or are chosen from a list, so their faults are shown above the form."""
_FIELD_OF_CODE: Final = {
    "description_too_long": "description",
    "kind_not_enabled": "kind",
    "portal_not_enabled": "portal",
    "connection_not_found": "connection_id",
    "connection_ambiguous": "connection_id",
    "connection_not_authorized": "connection_id",
    "tenant_other_connection": "connection_id",
    "recommendation_has_open_ticket": "create_another",
}


def ticket_body(values: Mapping[str, str]) -> dict[str, object]:
    """Return the request that the form's fields mean."""
    recommendation = {
        "source": values["source"],
        "category": values["category"],
        "id": values["recommendation_id"] or None,
        "link": values["link"].strip() or None,
    }
    return {
        "connection_id": values["connection_id"] or None,
        "tenant_id": values["tenant_id"] or None,
        "kind": values["kind"],
        "portal": values["portal"],
        "name": values["name"],
        "description": values["description"],
        "priority": values["priority"],
        "due_date": values["due_date"] or None,
        "recommendation": recommendation,
        "assignment_group": values["assignment_group"].strip() or None,
        "assigned_to": values["assigned_to"].strip() or None,
        "configuration_item": values["configuration_item"].strip() or None,
    }


def ticket_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code=_FIELD_OF_CODE, shown=_shown)


def _shown(pointer: Sequence[str]) -> Shown:
    match pointer:
        case ["recommendation", "id"]:
            name = "recommendation_id"
        case ["recommendation", name] | [name, *_]:
            pass
        case _:
            return Shown("", "")
    return Shown(name if name in FIELDS and name not in _HIDDEN_FIELDS else "", f"fault.{name}")
