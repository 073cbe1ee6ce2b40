"""The content of one vault and how it changes; no HTTP here.

Sources: the Key Vault REST reference (secrets), "Azure Key Vault soft-delete overview" and "About secrets" on Microsoft
Learn; for bodies of errors, answers quoted in public issues of the Azure SDKs. If no quoted answer was found, the
message is our own.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

RECOVERABLE_DAYS = 90
MAXIMUM_VALIDITY = timedelta(days=90)
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_MAXIMUM_VALUE_BYTES = 25 * 1024
_MAXIMUM_TAGS = 15
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class KeyVaultError(Exception):
    """An operation is refused.

    Attributes:
        status: HTTP status.
        code: ``error.code``.
        message: ``error.message``.
        inner_code: ``error.innererror.code``, or ``None`` when there is no such member.
    """

    def __init__(self, status: int, code: str, message: str, inner_code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner_code = inner_code


@dataclass
class Version:
    """A version of a secret; ``not_before`` and ``expires`` only inform, unless a switch enforces them."""

    id: str
    value: str
    created_at: datetime
    updated_at: datetime
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Secret:
    """A secret with its versions, oldest first; the last one is current."""

    name: str
    versions: list[Version] = field(default_factory=list)
    usable_at: datetime = _LONG_AGO

    @property
    def current(self) -> Version:
        """The version that a request without a version means."""
        return self.versions[-1]


@dataclass
class DeletedSecret:
    """A secret that can be recovered until it is purged; it shows as deleted from ``visible_at``."""

    secret: Secret
    deleted_at: datetime
    visible_at: datetime
    purged_at: datetime


@dataclass
class Vault:
    """A vault.

    Attributes:
        url: Its address, without a slash at the end; part of every identifier.
        purge_protection: Deleted secrets cannot be purged before their retention ends.
        governance_policy: The Azure policies that landing zones assign with the effect Deny: every secret needs a
            content type, and an expiry at most 90 days after its creation. It is not known whether they check changes
            as well as new versions; here they do.
        gives_out_expired: A secret can be read after it expires, as "About secrets" says.
        transition: How long a deletion or a recovery takes; the service needs some seconds for each.
        clock: Returns the present time.
    """

    url: str
    purge_protection: bool = True
    governance_policy: bool = True
    gives_out_expired: bool = True
    transition: timedelta = timedelta()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _secrets: dict[str, Secret] = field(default_factory=dict)
    _deleted: dict[str, DeletedSecret] = field(default_factory=dict)

    @property
    def recovery_level(self) -> str:
        """The recovery level: whether a deletion can be undone and purged."""
        return "Recoverable" if self.purge_protection else "Recoverable+Purgeable"

    def set_secret(self, name: str, properties: Mapping[str, object]) -> tuple[Secret, Version]:
        """Add a version, and the secret itself if it is new."""
        self._require_name(name)
        self._require_free(name)
        value = properties.get("value")
        if not isinstance(value, str):
            raise _bad_parameter("Property  value is required.")
        if len(value.encode()) > _MAXIMUM_VALUE_BYTES:
            raise _bad_parameter(f"The secret value exceeds the maximum size of {_MAXIMUM_VALUE_BYTES} bytes.")
        now = self.clock()
        version = Version(uuid.uuid4().hex, value, created_at=now, updated_at=now)
        _apply(version, properties)
        self._require_policy(name, version)
        secret = self._secrets.setdefault(name.lower(), Secret(name))
        secret.versions.append(version)
        return secret, version

    def get_secret(self, name: str, version_id: str = "") -> tuple[Secret, Version]:
        """Return a version with its value; without a name, the current one."""
        secret, version = self._find(name, version_id)
        if not version.enabled:
            raise KeyVaultError(
                403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled"
            )
        if not self.gives_out_expired and version.expires is not None and version.expires <= self.clock().timestamp():
            raise KeyVaultError(403, "Forbidden", "Operation get is not allowed on a expired secret.", "SecretExpired")
        return secret, version

    def update_secret(self, name: str, version_id: str, properties: Mapping[str, object]) -> tuple[Secret, Version]:
        """Change a version's attributes, content type and tags; those not given stay as they are."""
        secret, version = self._find(name, version_id)
        changed = replace(version)
        _apply(changed, properties)
        self._require_policy(name, changed)
        _apply(version, properties)
        version.updated_at = self.clock()
        return secret, version

    def list_secrets(self) -> list[tuple[Secret, Version]]:
        """Return the current version of each secret, by name, including disabled ones."""
        usable = (secret for secret in self._secrets.values() if secret.usable_at <= self.clock())
        return [(secret, secret.current) for secret in _by_name(usable)]

    def list_versions(self, name: str) -> list[tuple[Secret, Version]]:
        """Return all versions of a secret, by id; none if the secret does not exist."""
        secret = self._secrets.get(name.lower())
        versions = sorted(secret.versions, key=lambda version: version.id) if secret else []
        return [(secret, version) for version in versions if secret]

    def delete_secret(self, name: str) -> DeletedSecret:
        """Delete a secret with all its versions; its name stays taken until it is purged."""
        secret, _ = self._find(name, "")
        now = self.clock()
        deleted = DeletedSecret(secret, now, now + self.transition, now + timedelta(days=RECOVERABLE_DAYS))
        del self._secrets[name.lower()]
        self._deleted[name.lower()] = deleted
        return deleted

    def get_deleted_secret(self, name: str) -> DeletedSecret:
        """Return a fully deleted secret."""
        deleted = self._deleted.get(name.lower())
        if deleted is None or deleted.visible_at > self.clock():
            raise _not_found(name)
        return deleted

    def list_deleted_secrets(self) -> list[DeletedSecret]:
        """Return the fully deleted secrets, by name."""
        now = self.clock()
        visible = [deleted for deleted in self._deleted.values() if deleted.visible_at <= now]
        return sorted(visible, key=lambda deleted: deleted.secret.name.lower())

    def recover_deleted_secret(self, name: str) -> tuple[Secret, Version]:
        """Recover a deleted secret with all its versions."""
        secret = self.get_deleted_secret(name).secret
        del self._deleted[name.lower()]
        secret.usable_at = self.clock() + self.transition
        self._secrets[name.lower()] = secret
        return secret, secret.current

    def purge_deleted_secret(self, name: str) -> None:
        """Remove a deleted secret for ever; its name is free again."""
        self.get_deleted_secret(name)
        if self.purge_protection:
            raise KeyVaultError(
                403, "Forbidden", 'Operation "purge" is not allowed because purge protection is enabled for this vault.'
            )
        del self._deleted[name.lower()]

    def _find(self, name: str, version_id: str) -> tuple[Secret, Version]:
        self._require_name(name)
        secret = self._secrets.get(name.lower())
        if secret is None or secret.usable_at > self.clock():
            raise _not_found(name)
        if not version_id:
            return secret, secret.current
        version = next((version for version in secret.versions if version.id == version_id), None)
        if version is None:
            raise _not_found(f"{name}/{version_id}")
        return secret, version

    def _require_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise _bad_parameter(f"The request URI contains an invalid name: {name}")

    def _require_policy(self, name: str, version: Version) -> None:
        if not self.governance_policy:
            return
        if not version.content_type:
            raise _disallowed(name, "Secrets should have content type set", "75262d3e-ba4a-4f43-85f8-9f72c090e5e3")
        latest = version.created_at + MAXIMUM_VALIDITY
        if version.expires is None or version.expires > latest.timestamp():
            raise _disallowed(
                name,
                "Secrets should have the specified maximum validity period",
                "342e8053-e12e-4c44-be01-c3c2f318400f",
            )

    def _require_free(self, name: str) -> None:
        now = self.clock()
        deleted = self._deleted.get(name.lower())
        if deleted is not None and deleted.visible_at > now:
            raise KeyVaultError(409, "Conflict", f"Secret {name} is currently being deleted.", "ObjectIsBeingDeleted")
        if deleted is not None:
            raise KeyVaultError(
                409,
                "Conflict",
                f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; "
                "in this state, the secret can only be recovered or purged.",
                "ObjectIsDeletedButRecoverable",
            )
        secret = self._secrets.get(name.lower())
        if secret is not None and secret.usable_at > now:
            raise KeyVaultError(
                409, "Conflict", f"Secret {name} is currently being recovered.", "ObjectIsBeingRecovered"
            )


def _apply(version: Version, properties: Mapping[str, object]) -> None:
    attributes = properties.get("attributes") or {}
    tags = properties.get("tags")
    content_type = properties.get("contentType")
    if not isinstance(attributes, Mapping):
        raise _bad_parameter("Property attributes has an invalid value.")
    if tags is not None:
        if not isinstance(tags, Mapping) or len(tags) > _MAXIMUM_TAGS:
            raise _bad_parameter(f"A secret can have up to {_MAXIMUM_TAGS} tags.")
        version.tags = {str(key): str(value) for key, value in tags.items()}
    if content_type is not None:
        version.content_type = str(content_type)
    if attributes.get("enabled") is not None:
        version.enabled = bool(attributes["enabled"])
    if attributes.get("nbf") is not None:
        version.not_before = int(attributes["nbf"])
    if attributes.get("exp") is not None:
        version.expires = int(attributes["exp"])


def _by_name(secrets: Iterable[Secret]) -> list[Secret]:
    return sorted(secrets, key=lambda secret: secret.name.lower())


def _bad_parameter(message: str) -> KeyVaultError:
    return KeyVaultError(400, "BadParameter", message)


def _disallowed(name: str, policy: str, definition_id: str) -> KeyVaultError:
    identifiers = [
        {
            "policyAssignment": {"name": "Enforce-GR-KeyVault"},
            "policyDefinition": {
                "name": policy,
                "id": f"/providers/Microsoft.Authorization/policyDefinitions/{definition_id}",
            },
        }
    ]
    return KeyVaultError(
        403,
        "Forbidden",
        f"Secret '{name}' was disallowed by policy. Policy identifiers: '{json.dumps(identifiers)}'.",
        "ForbiddenByGovernancePolicy",
    )


def _not_found(name: str) -> KeyVaultError:
    return KeyVaultError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may "
        "be able to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182",
    )
