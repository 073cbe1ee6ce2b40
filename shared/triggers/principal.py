"""Who is calling, as App Service Authentication says.

The host passes ``X-MS-CLIENT-PRINCIPAL`` from outside unchanged (Functions host §A7); only the platform's
Authentication in front strips and sets it. So this module believes it only while the platform says that Authentication
is on.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from shared.access.model import Access
from shared.errors import FixRequest, NotSignedIn
from shared.settings import Settings
from shared.tenants.lookup import TENANT_ID
from shared.tickets.addresses import real_address
from shared.tickets.model import Requester
from shared.value_object import value_object

HEADER: Final = "X-MS-CLIENT-PRINCIPAL"
MAX_HEADER_LENGTH: Final = 64_000
"""App Service lets no more than this through in all headers (Authentication §G5). A token names 200 groups at most
(Authentication §G2), which makes a header of up to 40,000 characters."""

_OBJECT_ID: Final = ("http://schemas.microsoft.com/identity/claims/objectidentifier", "oid")
_TENANT_ID: Final = ("http://schemas.microsoft.com/identity/claims/tenantid", "tid")
_NAME: Final = ("name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name")
_ACCOUNT_NAME: Final = ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "upn", "preferred_username")
"""The account's own name in its directory; it has the form of an e-mail address for nearly everybody."""
_EMAIL: Final = ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "email")
"""A contact address. Entra ID does not check it: any tenant's administrator can give a guest any address there."""
_EMAIL_VERIFIED: Final = "xms_edov"
"""Says that the account's own tenant owns the domain of the address."""
_APPLICATION_NAME: Final = ("app_displayname",)
"""An application's own name. Entra ID includes it in tokens for Microsoft Graph, and in others if a policy maps it."""
_APPLICATION_ID: Final = ("azp", "appid")
"""An application's client id, in tokens of version 2 and 1."""
_ROLES: Final = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
_GROUPS: Final = (
    "groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid",
)
"""One entry for each group; the value is the group's object id (Authentication §G1)."""
_HAS_GROUPS: Final = "hasgroups"
_CLAIM_NAMES: Final = "_claim_names"
_CLAIM_SOURCES: Final = "_claim_sources"
"""What a token has instead of its groups if there are more than 200 (Authentication §G2). How the header shows these
objects is NOT FOUND (§G3): as JSON, in another notation, or with a claim for each of their members."""
_GROUPS_WORD: Final = re.compile(r"(?<![a-z0-9])groups(?![a-z0-9])", re.IGNORECASE)


class Role(StrEnum):
    """The app roles of the registration in Entra ID."""

    TICKETS_READ = "Tickets.Read"
    TICKETS_CREATE = "Tickets.Create"
    CONNECTIONS_MANAGE = "Connections.Manage"


ANY_ROLE: Final = frozenset(Role)
READERS: Final = frozenset({Role.TICKETS_READ})
CREATORS: Final = frozenset({Role.TICKETS_CREATE})
MANAGERS: Final = frozenset({Role.CONNECTIONS_MANAGE})

_ALSO: Final = {Role.TICKETS_CREATE: {Role.TICKETS_READ}}
"""A person who may create tickets may see them."""


@value_object
class Principal:
    """A caller who has signed in.

    Attributes:
        object_id: The caller's object id in Entra ID.
        name: A person's name; an application's name, or ``Application`` with its client id where the token does not
            name it; the object id if the token has neither.
        email: The caller's address if Entra ID vouches for it; None otherwise.
        is_application: Whether it is an application (claim ``idtyp`` is ``app``) and not a person.
        tenant_id: The tenant that issued the token; None if it is not a GUID.
        groups: Object ids of the caller's groups in lower case, as far as the token names them. An application's token
            names none.
        has_too_many_groups: Whether the caller is in more groups than a token names, so that it names none.
    """

    object_id: str
    name: str
    email: str | None
    roles: frozenset[Role]
    is_application: bool
    tenant_id: str | None = None
    groups: frozenset[str] = frozenset()
    has_too_many_groups: bool = False

    def has_any(self, roles: frozenset[Role]) -> bool:
        """Whether the caller has one of these roles."""
        return bool(self.roles & roles)

    @property
    def access(self) -> Access:
        """Which customers the caller may see; without their groups, those limited to the caller's own object id."""
        return Access(self.groups | {self.object_id.lower()})

    @property
    def requester(self) -> Requester:
        """The caller as the initiating user of a ticket."""
        return Requester(id=self.object_id, name=self.name, email=self.email)


def read_principal(headers: Mapping[str, str], settings: Settings) -> Principal | None:
    """Return the caller, or None for an anonymous or unreadable one."""
    text = headers.get(HEADER)
    if not settings.authentication_enabled or not text or len(text) > MAX_HEADER_LENGTH:
        return None
    try:
        document = json.loads(base64.b64decode(text, validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in document["claims"]]
        role_claim = str(document.get("role_typ") or "roles")
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    object_id = _first(claims, _OBJECT_ID)
    if not object_id:
        return None
    known = {role.value: role for role in Role}
    named = {known[value] for claim, value in claims if claim in {*_ROLES, role_claim} and value in known}
    roles = named.union(*(_ALSO.get(role, set()) for role in named))
    is_application, email = ("idtyp", "app") in claims, _address(claims)
    name = _application_name(claims) if is_application else _first(claims, _NAME) or email
    return Principal(
        object_id=object_id,
        name=name or object_id,
        email=email,
        roles=frozenset(roles),
        is_application=is_application,
        tenant_id=_tenant_id(claims),
        groups=frozenset(value.lower() for value in _values(claims, _GROUPS) if TENANT_ID.fullmatch(value)),
        has_too_many_groups=_are_groups_elsewhere(claims),
    )


def require_roles(caller: Principal | None, roles: frozenset[Role]) -> None:
    """Require a signed-in caller with one of the roles.

    Raises:
        FixRequest: 401 ``not_signed_in`` or 403 ``role_missing``.
    """
    if caller is None:
        raise NotSignedIn()
    if not caller.has_any(roles):
        raise FixRequest("role_missing", status=403, roles=sorted(roles))


def _are_groups_elsewhere(claims: list[tuple[str, str]]) -> bool:
    """Whether claims say that the caller's groups are somewhere else.

    If they only say that something is, it is taken for the groups: a part must not pass for the whole.
    """
    if any(value.casefold() in {"1", "true"} for value in _values(claims, (_HAS_GROUPS,))):
        return True
    names = [f"{claim} {value}" for claim, value in claims if claim.startswith(_CLAIM_NAMES)]
    if names:
        return any(_GROUPS_WORD.search(name) for name in names)
    return any(claim.startswith(_CLAIM_SOURCES) for claim, _ in claims)


def _tenant_id(claims: list[tuple[str, str]]) -> str | None:
    text = _first(claims, _TENANT_ID)
    return text.lower() if text is not None and TENANT_ID.fullmatch(text) else None


def _application_name(claims: list[tuple[str, str]]) -> str | None:
    """Return the name that people see of an application that asks in its own name."""
    client_id = _first(claims, _APPLICATION_ID)
    return _first(claims, _APPLICATION_NAME) or (f"Application {client_id}" if client_id else None)


def _address(claims: list[tuple[str, str]]) -> str | None:
    """Return the address used to find the caller in ServiceNow: one that the caller cannot choose."""
    verified = any(value.casefold() in {"1", "true"} for value in _values(claims, (_EMAIL_VERIFIED,)))
    candidates = _values(claims, (*(_EMAIL if verified else ()), *_ACCOUNT_NAME))
    return next((real_address(value) for value in candidates if "@" in value), None)


def _values(claims: list[tuple[str, str]], names: tuple[str, ...]) -> list[str]:
    return [value for name in names for claim, value in claims if claim == name]


def _first(claims: list[tuple[str, str]], names: tuple[str, ...]) -> str | None:
    return next(iter(_values(claims, names)), None)
