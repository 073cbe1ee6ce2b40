"""What an administrator may say about a connection, checked before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from shared.connections.model import DEFAULT_CONSENT_LIFETIME_S, KindSettings, Portal, TicketKind
from shared.request_faults import fault, invalid_body

CLIENT_SECRET_MAX_LENGTH: Final = 4096
"""Length of ``oauth_entity.client_secret`` since Zurich (ServiceNow §1.8)."""
LONGEST_CONSENT_S: Final = 2_147_483_647
"""ServiceNow's greatest refresh token lifespan (ServiceNow §1.5)."""
MAX_STATE_NAMES: Final = 50


def _line(text: str) -> str:
    if not text.isprintable():
        raise fault("not_a_line")
    return text


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


type Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_line)]


class KindRequest(BaseModel):
    """How tickets of one kind are created."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="Whether tickets of this kind can be created."
    )
    assignment_group: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        default=None, description="sys_id of the group that new tickets get."
    )
    category: Annotated[Line, Field(max_length=40)] | None = Field(
        default=None, description="ServiceNow's category value for new tickets."
    )
    default_caller: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        default=None, description="sys_id of the user in whose name a ticket is made when its requester is not found."
    )
    state_names: dict[Annotated[str, Field(pattern=r"^[^\s]{1,40}$")], Annotated[Line, Field(max_length=60)]] = Field(
        default_factory=dict,
        max_length=MAX_STATE_NAMES,
        description="Names shown to people, by ServiceNow's state value.",
    )

    def settings(self) -> KindSettings:
        """Return the settings as a connection keeps them."""
        return KindSettings(
            enabled=self.enabled,
            assignment_group=self.assignment_group,
            category=self.category,
            state_names=dict(self.state_names),
            default_caller=self.default_caller,
        )


class KindsRequest(BaseModel):
    """How tickets are created, by kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    incident: KindRequest = KindRequest()
    change: KindRequest = KindRequest()

    @model_validator(mode="after")
    def _one_is_enabled(self) -> Self:
        if not (self.incident.enabled or self.change.enabled):
            raise fault("no_kind_enabled")
        return self

    def settings(self) -> Mapping[TicketKind, KindSettings]:
        """Return the settings of both kinds."""
        return {TicketKind.INCIDENT: self.incident.settings(), TicketKind.CHANGE: self.change.settings()}


class ConnectionRequest(BaseModel):
    """A connection as an administrator wants it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    display_name: Annotated[Line, Field(max_length=100)] = Field(description="What people call it.")
    instance: Annotated[Line, Field(max_length=300)] = Field(
        description="contoso, contoso.service-now.com or the instance's URL.", examples=["contoso"]
    )
    same_instance: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="With a changed address, true says that it is the same instance under a new one: its tickets go "
        "along once an authorization has found records of theirs there. Left out, what was said before stays.",
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
        description="Client secret of the OAuth client; left out, the one there is stays. It is never shown again.",
    )
    integration_user: Annotated[Line, Field(max_length=40)] = Field(
        description="User name of the only ServiceNow user whose consent is accepted."
    )
    portals: Annotated[tuple[Portal, ...], Field(min_length=1, max_length=10), AfterValidator(_without_repeats)] = (
        Field(default=tuple(Portal), description="Portals whose recommendations may become tickets.")
    )
    kinds: KindsRequest = KindsRequest()
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
        FixRequest: 422 ``invalid_connection`` with one entry per fault; the values themselves are not repeated.
    """
    try:
        return ConnectionRequest.model_validate(body)
    except ValidationError as error:
        raise invalid_body("invalid_connection", error) from None
