"""Forms of the tenant's pages: from a tenant to the fields shown, and from the fields sent to a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.errors import FixRequest
from shared.tenants.model import Tenant
from shared.triggers.form_faults import Shown, fault_texts
from shared.words.language import Language

FIELDS: Final = ("tenant_id", "name", "connection_id", "company", "files_only")
_FIELD_OF_CODE: Final = {
    "invalid_tenant_id": "tenant_id",
    "tenant_already_added": "tenant_id",
    "connection_not_found": "connection_id",
}


def tenant_values(tenant: Tenant) -> dict[str, str]:
    """Return the current fields of a tenant's page; a ticked box is ``on``."""
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "connection_id": tenant.connection_id or "",
        "company": tenant.company or "",
        "files_only": "on" if tenant.due_at is None else "",
    }


def sent_values(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields as they were sent, to be shown again."""
    return {name: form.get(name, "").strip() for name in FIELDS}


def tenant_body(values: Mapping[str, str]) -> dict[str, object]:
    """Return the request that the fields mean."""
    return {
        "name": values["name"],
        "connection_id": values["connection_id"] or None,
        "company": values["company"] or None,
        "files_only": bool(values["files_only"]),
    }


def tenant_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code=_FIELD_OF_CODE, shown=_shown)


def _shown(pointer: Sequence[str]) -> Shown:
    return Shown(pointer[0], f"fault.tenant.{pointer[0]}")
