"""An administrator's settings for a connection, checked before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)

from shared.connections.model import DEFAULT_CONSENT_LIFETIME_S, KindSettings, Portal, TicketKind
from shared.request_faults import fault, read_body
from shared.request_texts import Name

CLIENT_SECRET_MAX_LENGTH: Final = 4096
"""Length of ``oauth_entity.client_secret`` since Zurich (ServiceNow §1.8)."""
LONGEST_CONSENT_S: Final = 2_147_483_647
"""ServiceNow's greatest refresh token lifespan (ServiceNow §1.5)."""


def _visible_ascii(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x20-\x7e]+", secret.get_secret_value()):
        raise fault("not_ascii")
    return secret


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise fault("unknown_time_zone")
    return name


def _without_repeats(portals: tuple[Portal, ...]) -> tuple[Portal, ...]:
    return tuple(dict.fromkeys(portals))


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise fault("not_a_text")
    return value


def _every_kind(kinds: Mapping[TicketKind, KindSettings]) -> Mapping[TicketKind, KindSettings]:
    every = {kind: kinds.get(kind, KindSettings()) for kind in TicketKind}
    if not any(settings.enabled for settings in every.values()):
        raise fault("no_kind_enabled")
    return every


class ConnectionRequest(BaseModel):
    """A connection as an administrator wants it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    display_name: Annotated[Name, Field(max_length=100)] = Field(description="What people call it.")
    instance: Annotated[Name, Field(max_length=300)] = Field(
        description="contoso, contoso.service-now.com or the instance's URL.", examples=["contoso"]
    )
    same_instance: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="With a changed address, true says that it is the same instance under a new address: its tickets "
        "move there once an authorization has found their records. If left out, the previous value stays.",
    )
    client_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$")] = Field(
        description="Client ID of the OAuth client in ServiceNow."
    )
    client_secret: (
        Annotated[
            SecretStr,
            BeforeValidator(_text, json_schema_input_type=str),
            Field(min_length=1, max_length=CLIENT_SECRET_MAX_LENGTH),
            AfterValidator(_visible_ascii),
        ]
        | None
    ) = Field(
        default=None,
        description="Client secret of the OAuth client; if left out, the present one stays. It is never shown again.",
    )
    integration_user: Annotated[Name, Field(max_length=40)] = Field(
        description="User name of the only ServiceNow user whose consent is accepted."
    )
    portals: Annotated[tuple[Portal, ...], Field(min_length=1, max_length=10), AfterValidator(_without_repeats)] = (
        Field(default=tuple(Portal), description="Portals whose recommendations may become tickets.")
    )
    kinds: Annotated[dict[TicketKind, KindSettings], AfterValidator(_every_kind)] = Field(
        default_factory=lambda: {kind: KindSettings() for kind in TicketKind},
        description="How tickets are created, by kind. A kind that is left out is enabled.",
    )
    time_zone: Annotated[str, Field(max_length=60), AfterValidator(_time_zone)] = Field(
        default="UTC", description="IANA name; a due date without a time ends at the end of that day in this zone."
    )
    consent_lifetime_s: Annotated[int, Field(strict=True, ge=3600, le=LONGEST_CONSENT_S)] = Field(
        default=DEFAULT_CONSENT_LIFETIME_S,
        description="Refresh Token Lifespan of the OAuth client in ServiceNow, in seconds.",
    )


def read_connection_request(body: object) -> ConnectionRequest:
    """Read a request from its JSON value.

    Raises:
        FixRequest: 422 ``invalid_connection`` with one entry per fault, which does not repeat the value.
    """
    return read_body("invalid_connection", ConnectionRequest, body)
