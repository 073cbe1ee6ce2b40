"""What an administrator asks of a connection's reminders, checked before anything else happens."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from shared.errors import Fault
from shared.reminders.addresses import ADDRESS_MAX_LENGTH, address_fault, is_signing_secret
from shared.reminders.model import Cause, ReminderSettings
from shared.request_faults import fault, read_body, refused

CLOCK_TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_USUAL: Final = ReminderSettings()


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise fault("not_a_text")
    return value.strip()


def _signing_secret(secret: SecretStr) -> SecretStr:
    if not is_signing_secret(secret.get_secret_value()):
        raise fault("not_a_signing_secret")
    return secret


def _without_repeats(causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    return tuple(dict.fromkeys(causes))


type _Address = Annotated[
    SecretStr, BeforeValidator(_text, json_schema_input_type=str), Field(min_length=1, max_length=ADDRESS_MAX_LENGTH)
]


class DigestRequest(BaseModel):
    """When the weekly digest is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    weekday: Annotated[int, Field(strict=True, ge=1, le=7)] = Field(
        default=_USUAL.digest_weekday, description="ISO weekday: 1 is Monday, 7 is Sunday."
    )
    at: Annotated[str, Field(pattern=CLOCK_TIME)] = Field(
        default=_USUAL.digest_at, description="Local time HH:MM in the connection's time zone."
    )


class QuietHoursRequest(BaseModel):
    """When nothing is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    begin_at: Annotated[str, Field(pattern=CLOCK_TIME)] = Field(
        description="Local time HH:MM in the connection's time zone."
    )
    end_at: Annotated[str, Field(pattern=CLOCK_TIME)] = Field(
        description="Local time; on the next day if it is earlier."
    )

    @model_validator(mode="after")
    def _has_length(self) -> QuietHoursRequest:
        if self.begin_at == self.end_at:
            raise fault("quiet_hours_equal")
        return self


class RemindersRequest(BaseModel):
    """A connection's reminders as an administrator wants them."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    teams_address: _Address | None = Field(
        default=None,
        description="Address of a Teams workflow that posts what it receives. If left out, the present one stays; null "
        "removes it. It is never shown.",
    )
    webhook_address: _Address | None = Field(
        default=None,
        description="https address of a program that receives signed messages. If left out, the present one stays; "
        "null removes it. It is never shown.",
    )
    signing_secret: (
        Annotated[SecretStr, BeforeValidator(_text, json_schema_input_type=str), AfterValidator(_signing_secret)] | None
    ) = Field(
        default=None,
        description="Secret that messages to the program are signed with: whsec_ and the base64 form of 24 to 64 "
        "bytes. If left out, the present one stays, and a first address gets a new one.",
    )
    new_signing_secret: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="true makes a new signing secret and shows it in the answer, once."
    )
    digest: DigestRequest | None = Field(default_factory=DigestRequest, description="The weekly digest; null for none.")
    urgent: Annotated[tuple[Cause, ...], Field(max_length=20), AfterValidator(_without_repeats)] = Field(
        default=tuple(Cause), description="What urgent messages are about; empty for none."
    )
    quiet_hours: QuietHoursRequest | None = Field(default=None, description="Null for none.")


def read_reminders_request(body: object, allowed_hosts: Collection[str]) -> RemindersRequest:
    """Read a request from its JSON value.

    Args:
        allowed_hosts: Hosts that an operator allows although they are in a private network.

    Raises:
        FixRequest: 422 ``invalid_reminders`` with one entry per fault, which does not repeat the value.
    """
    request = read_body("invalid_reminders", RemindersRequest, body)
    faults: list[Fault] = []
    for name in ("teams_address", "webhook_address"):
        address: SecretStr | None = getattr(request, name)
        code = None if address is None else address_fault(address.get_secret_value(), allowed_hosts)
        if code is not None:
            faults.append({"pointer": f"/{name}", "code": code, "values": {}})
    if faults:
        raise refused("invalid_reminders", faults)
    return request
