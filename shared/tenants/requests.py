"""An administrator's settings for a tenant, checked before anything else happens."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.connections.lookup import CONNECTION_ID
from shared.request_faults import read_body
from shared.request_texts import Name, SysId


class TenantRequest(BaseModel):
    """A tenant as an administrator wants it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    name: Annotated[Name, Field(max_length=100)] = Field(description="What people call it.")
    connection_id: Annotated[str, Field(pattern=f"^{CONNECTION_ID.pattern}$")] | None = Field(
        default=None, description="The connection that its tickets go to."
    )
    company: SysId | None = Field(
        default=None, description="sys_id of the ServiceNow company that its tickets belong to."
    )
    files_only: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="true: never read it from Microsoft Graph; its recommendations come from files."
    )


def read_tenant_request(body: object) -> TenantRequest:
    """Read a request from its JSON value.

    Raises:
        FixRequest: 422 ``invalid_tenant`` with one entry per fault, which does not repeat the value.
    """
    return read_body("invalid_tenant", TenantRequest, body)
