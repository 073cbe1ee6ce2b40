"""An administrator's settings for a connection, checked before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields, replace
from operator import attrgetter
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SecretStr,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import CoreSchema, core_schema

from shared.access.model import AllowedCaller
from shared.connections.fixed_fields import reservation
from shared.connections.model import DEFAULT_CONSENT_LIFETIME_S, Grant, KindSettings, OutcomeNotes, Portal, TicketKind
from shared.errors import Fault
from shared.request_faults import fault, read_body, refused
from shared.request_texts import Line, Name
from shared.value_object import value_object
from shared.words.language import languages

CLIENT_SECRET_MAX_LENGTH: Final = 4096
"""Length of ``oauth_entity.client_secret`` since Zurich (ServiceNow §1.8)."""
MOST_ALLOWED: Final = 50
"""Groups, people and programs that may see a limited customer; more belong into a group."""
OBJECT_ID: Final = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
LONGEST_CONSENT_S: Final = 2_147_483_647
"""ServiceNow's greatest refresh token lifespan (ServiceNow §1.5)."""
_KIND_MEMBERS: Final = frozenset(member.name for member in fields(KindSettings))
_OF_RELEASE_0_1: Final = frozenset({"enabled", "assignment_group", "category", "state_names"})
"""A caller that leaves one of these out wants its default. Callers from that time do not know the other members, so
that leaving those out changes nothing."""


@value_object
class KindRequest:
    """The settings of one kind as an administrator wants them.

    Attributes:
        left_out: Members that the request does not name and that stay as they are.
    """

    settings: KindSettings = field(default_factory=KindSettings)
    left_out: frozenset[str] = _KIND_MEMBERS - _OF_RELEASE_0_1

    def settings_after(self, present: KindSettings) -> KindSettings:
        """Return the settings once the request is carried out."""
        return replace(self.settings, **{name: getattr(present, name) for name in self.left_out})

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the settings, which says nothing of what was left out."""
        settings = handler.generate_schema(KindSettings)
        shown = core_schema.plain_serializer_function_ser_schema(attrgetter("settings"), return_schema=settings)
        return core_schema.no_info_wrap_validator_function(_kind_request, settings, serialization=shown)


def _visible_ascii(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x20-\x7e]+", secret.get_secret_value()):
        raise fault("not_ascii")
    return secret


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise fault("unknown_time_zone")
    return name


def _language(code: str) -> str:
    if code not in languages():
        raise fault("unknown_language")
    return code


def _without_repeats(portals: tuple[Portal, ...]) -> tuple[Portal, ...]:
    return tuple(dict.fromkeys(portals))


def _each_once(allowed: tuple[AllowedCallerRequest, ...]) -> tuple[AllowedCallerRequest, ...]:
    return tuple({each.object_id.lower(): each for each in allowed}.values())


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise fault("not_a_text")
    return value


def _kind_request(value: object, read: ValidatorFunctionWrapHandler) -> KindRequest:
    settings = read(value)
    named = value.keys() if isinstance(value, Mapping) else _KIND_MEMBERS
    return KindRequest(settings, _KIND_MEMBERS - _OF_RELEASE_0_1 - named)


def _every_kind(kinds: Mapping[TicketKind, KindRequest]) -> Mapping[TicketKind, KindRequest]:
    every = {kind: kinds.get(kind, KindRequest()) for kind in TicketKind}
    if not any(each.settings.enabled for each in every.values()):
        raise fault("no_kind_enabled")
    return every


class AllowedCallerRequest(BaseModel):
    """Somebody who may see a limited customer."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    object_id: Annotated[str, Field(pattern=OBJECT_ID)] = Field(
        description="Object ID in Entra ID: of a group, a person, or a program's service principal."
    )
    note: Annotated[Line, Field(max_length=100)] = Field(default="", description="Who that is, for people.")

    @property
    def caller(self) -> AllowedCaller:
        """It, with the id in lower case."""
        return AllowedCaller(self.object_id.lower(), self.note)


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
        description="User name of the only ServiceNow user whose consent, or whose token, is accepted."
    )
    grant: Grant | None = Field(
        default=None,
        description="How the connector gets access tokens. If left out, it stays as it is; a new connection uses the "
        "authorization code.",
    )
    second_factor_holder: Annotated[Line, Field(max_length=200)] | None = Field(
        default=None,
        description="Who has the integration user's second factor, for people. An empty text means nobody; if left "
        "out, it stays as it is.",
    )
    portals: Annotated[tuple[Portal, ...], Field(min_length=1, max_length=10), AfterValidator(_without_repeats)] = (
        Field(default=tuple(Portal), description="Portals whose recommendations may become tickets.")
    )
    kinds: Annotated[dict[TicketKind, KindRequest], AfterValidator(_every_kind)] = Field(
        default_factory=lambda: {kind: KindRequest() for kind in TicketKind},
        description="How tickets are created, by kind, and what happens after they are closed. A kind that is left out "
        "is enabled. default_caller, not_fixed, regressed, not_done_codes and fixed_fields stay as they are if they "
        "are left out.",
    )
    shares_requester: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="Whether ServiceNow gets a requester's e-mail address and object id. If false, no text has them, "
        "nobody is looked up by an address, and the default caller is used. If left out, it stays as it is; a new "
        "connection shares them.",
    )
    outcome_notes: OutcomeNotes | None = Field(
        default=None,
        description="Where ServiceNow's record says what became of its recommendations. If left out, it stays as it "
        "is; a new connection writes work notes.",
    )
    customer_group: Annotated[Line, Field(max_length=60)] | None = Field(
        default=None,
        description="The group of customers that it belongs to, such as a region or a contract. An empty text means "
        "none; if left out, it stays as it is.",
    )
    limited_to: (
        Annotated[tuple[AllowedCallerRequest, ...], Field(max_length=MOST_ALLOWED), AfterValidator(_each_once)] | None
    ) = Field(
        default=None,
        description="Who alone may see the connection with its tenants and tickets. An empty list means everybody with "
        "an app role; if left out, it stays as it is. The caller has to be among them.",
    )
    is_excluded: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="Whether pages with totals and lists, the portfolio and what needs attention leave it out unless "
        "somebody asks for it. Its work goes on. If left out, it stays as it is.",
    )
    language: Annotated[str, Field(max_length=20), AfterValidator(_language)] | None = Field(
        default=None,
        description="Code of the language in which the connector writes to people of the instance: what it adds to "
        "descriptions, notes and files. If left out, it stays as it is; a new connection has en.",
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
    request = read_body("invalid_connection", ConnectionRequest, body)
    if faults := _fixed_field_faults(request):
        raise refused("invalid_connection", faults)
    return request


def fixed_field_pointer(kind: TicketKind, number: int, member: str) -> str:
    """Return where a request says something about a fixed field (RFC 6901)."""
    return f"/kinds/{kind}/fixed_fields/{number}/{member}"


def _fixed_field_faults(request: ConnectionRequest) -> list[Fault]:
    """Return a fault for each fixed field that the connector sets itself, or that is there twice."""
    faults: list[Fault] = []
    for kind, wanted in request.kinds.items():
        seen: set[str] = set()
        for number, each in enumerate(wanted.settings.fixed_fields):
            place = fixed_field_pointer(kind, number, "column")
            if instead := reservation(kind, each.column):
                faults.append({"pointer": place, "code": "column_reserved", "values": {"instead": instead}})
            elif each.column in seen:
                faults.append({"pointer": place, "code": "column_twice", "values": {}})
            seen.add(each.column)
    return faults
