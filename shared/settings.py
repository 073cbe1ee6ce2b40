"""The application's settings, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.error_codes import Code
from shared.errors import FixConfiguration


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _without_last_slash(value: object) -> object:
    return value.removesuffix("/") if isinstance(value, str) else value


type CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]

_ORIGIN: Final = r"^https://[a-z0-9.-]+(:[0-9]{1,5})?$"
"""Scheme, host and port, and nothing else: a token goes only to this origin."""


class SettingsInvalid(FixConfiguration):
    """The app cannot work until an operator corrects its settings.

    Attributes:
        faults: What is wrong with each setting, without its value. Only the log shows it: without settings, we cannot
            know who is calling.
    """

    default_code: ClassVar[Code | None] = "settings_invalid"
    status = 500

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__()
        self.faults = "; ".join(f"{name}: {fault}" for name, fault in faults.items())

    def __str__(self) -> str:
        return f"{self.code} {self.faults}"


class Settings(BaseModel):
    """The settings of an operator; ``docs/operations.md`` explains each of them.

    The name in the environment is the field's alias. An empty value means "not set".
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    public_base_url: str = Field(alias="PUBLIC_BASE_URL", pattern=r"^https?://[^/]+$")
    key_vault_url: str = Field(alias="KEY_VAULT_URL", pattern=r"^https://")
    tables_url: str = Field(alias="TABLES_URL", pattern=r"^https://")
    managed_identity_client_id: str | None = Field(default=None, alias="AZURE_CLIENT_ID")
    maintain_schedule: str = Field(default="0 * * * * *", alias="MAINTAIN_SCHEDULE")
    work_queue_url: str | None = Field(default=None, alias="WorkQueue__queueServiceUri", pattern=r"^https://")
    maintain_queue: str = Field(default="maintain-connections", alias="MAINTAIN_QUEUE")
    read_queue: str = Field(default="read-tenants", alias="READ_QUEUE")
    sync_interval_s: int = Field(default=60, ge=30, le=86_400, alias="SYNC_INTERVAL_S")
    secret_lifetime_days: int = Field(default=90, ge=1, le=3650, alias="SECRET_LIFETIME_DAYS")
    reconcile_at: time = Field(default=time(2, 0), alias="RECONCILE_AT")
    verify_after_h: int = Field(default=48, ge=1, le=2160, alias="VERIFY_AFTER_H")
    verify_after_entra_days: int = Field(default=8, ge=1, le=90, alias="VERIFY_AFTER_ENTRA_DAYS")
    verify_after_teams_days: int = Field(default=32, ge=1, le=90, alias="VERIFY_AFTER_TEAMS_DAYS")
    regression_quiet_days: int = Field(default=7, ge=0, le=90, alias="REGRESSION_QUIET_DAYS")
    evidence_retention_days: int = Field(default=1095, ge=30, le=3650, alias="EVIDENCE_RETENTION_DAYS")
    allowed_servicenow_hosts: CommaList = Field(default=(), alias="ALLOWED_SERVICENOW_HOSTS")
    allowed_webhook_hosts: CommaList = Field(default=(), alias="ALLOWED_WEBHOOK_HOSTS")
    allow_loopback_http: bool = Field(default=False, alias="ALLOW_LOOPBACK_HTTP")
    graph_url: str = Field(default="https://graph.microsoft.com", alias="GRAPH_URL", pattern=_ORIGIN)
    graph_client_id: str | None = Field(
        default=None, alias="GRAPH_CLIENT_ID", pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    )
    authority_url: Annotated[str, BeforeValidator(_without_last_slash)] = Field(
        default="https://login.microsoftonline.com", alias="AUTHORITY_URL", pattern=_ORIGIN
    )
    security_portal_url: str = Field(
        default="https://security.microsoft.com", alias="SECURITY_PORTAL_URL", pattern=_ORIGIN
    )
    is_reachable_from_internet: bool = Field(default=True, alias="REACHABLE_FROM_INTERNET")
    egress_addresses: CommaList = Field(default=(), alias="EGRESS_ADDRESSES")
    environment_name: str = Field(default="", max_length=40, alias="ENVIRONMENT_NAME")
    documentation_url: str = Field(default="", alias="DOCUMENTATION_URL", pattern=r"^(https://[^\s<>\"]+)?$")
    authentication_enabled: bool = Field(default=False, alias="WEBSITE_AUTH_ENABLED")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from environment variables.

        Raises:
            SettingsInvalid: A setting is missing or malformed.
        """
        given = {name: environment[name] for name in SETTING_NAMES if environment.get(name)}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            faults = {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors()}
            raise SettingsInvalid(faults) from None

    @property
    def secret_lifetime(self) -> timedelta:
        """The maximum life of a version of a secret in Key Vault."""
        return timedelta(days=self.secret_lifetime_days)

    @property
    def evidence_retention(self) -> timedelta:
        """How long the evidence is kept."""
        return timedelta(days=self.evidence_retention_days)

    @property
    def redirect_uri(self) -> str:
        """The redirect address to register in ServiceNow's OAuth client."""
        return f"{self.public_base_url}/api/oauth/callback"

    @property
    def consent_redirect_uri(self) -> str:
        """The redirect address to register in the registration that customers' tenants consent to."""
        return f"{self.public_base_url}/tenants/consent"


SETTING_NAMES: tuple[str, ...] = tuple(str(field.alias) for field in Settings.model_fields.values())
"""All environment variables that the product reads."""
