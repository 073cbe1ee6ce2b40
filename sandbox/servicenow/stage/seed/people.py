"""The sandbox's own people with their roles and groups, and their ids, which are the same on every instance."""

import hashlib
from dataclasses import dataclass

from sandbox.servicenow.engine.instance import Instance

ADMIN_SYS_ID = "6816f79cc0a8016401c5a33be04be441"
ROLE_SYS_IDS = {"admin": "2831a114c611228501d4ea6c309d626d", "itil": "282bf1fac6112285017366cb5f867469"}
"""Ids that are the same on every instance."""

ROLES = (
    "admin",
    "itil",
    "itil_admin",
    "sn_incident_read",
    "sn_incident_write",
    "sn_change_read",
    "sn_change_write",
    "sn_problem_read",
    "sn_problem_write",
    "oauth_admin",
    "user_admin",
    "group_admin",
    "catalog_admin",
    "personalize_choices",
    "personalize_dictionary",
    "snc_platform_rest_api_access",
    "snc_internal",
    "snc_external",
    "query_no_domain_table_api",
)
GROUPS = (
    "Service Desk",
    "Network",
    "Hardware",
    "Software",
    "Database",
    "Security Operations",
    "Microsoft 365 Operations",
    "Change Management",
    "Problem Solving",
    "CAB Approval",
    "Openspace",
    "Catalog Request Approvers",
)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who can sign in to the sandbox's ServiceNow instance."""

    user_name: str
    password: str
    first_name: str
    last_name: str
    email: str
    roles: tuple[str, ...]
    purpose: str
    groups: tuple[str, ...] = ()
    time_zone: str = ""
    sys_id: str = ""


PEOPLE: tuple[Person, ...] = (
    Person(
        "admin",
        "sandbox-admin",
        "System",
        "Administrator",
        "admin@example.com",
        ("admin",),
        "ServiceNow administrator",
        sys_id=ADMIN_SYS_ID,
    ),
    Person(
        "m365.connector",
        "sandbox-connector",
        "Microsoft 365",
        "Connector",
        "m365.connector@contoso.example",
        ("itil", "sn_incident_write", "sn_change_write", "snc_platform_rest_api_access"),
        "integration user: the one account that may be connected",
        time_zone="UTC",
    ),
    Person(
        "agent.smith",
        "sandbox-agent",
        "Alex",
        "Smith",
        "alex.smith@contoso.example",
        ("itil",),
        "agent who works on tickets",
        ("Service Desk", "Security Operations"),
        "Europe/Berlin",
    ),
    Person(
        "casey.keller",
        "sandbox-approver",
        "Casey",
        "Keller",
        "casey.keller@contoso.example",
        ("itil",),
        "change manager who approves or rejects changes",
        ("Change Management", "CAB Approval"),
        "Europe/Berlin",
    ),
    Person(
        "adele.vance",
        "sandbox-adele",
        "Adele",
        "Vance",
        "adele.vance@contoso.example",
        (),
        "personal account of a portal user: must not be connected",
    ),
)
"""The sandbox's people and their passwords. These are not secret: nothing outside the sandbox accepts them."""


def add_person(instance: Instance, person: Person) -> str:
    """Create a user with a password, roles and groups, and return the `sys_id`."""
    sys_id = person.sys_id or sys_id_of("sys_user", person.user_name)
    instance.records.insert(
        "sys_user",
        {
            "sys_id": sys_id,
            "user_name": person.user_name,
            "user_password": person.password,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "name": f"{person.first_name} {person.last_name}",
            "email": person.email,
            "time_zone": person.time_zone,
        },
        by="admin",
    )
    for role in person.roles:
        grant_role(instance, sys_id, role)
    for group in person.groups:
        instance.records.insert("sys_user_grmember", {"user": sys_id, "group": group_sys_id(group)}, by="admin")
    return sys_id


def grant_role(instance: Instance, user_sys_id: str, role: str) -> None:
    """Give a user a role; it takes effect with the next request."""
    instance.records.insert("sys_user_has_role", {"user": user_sys_id, "role": role_sys_id(role)}, by="admin")


def revoke_role(instance: Instance, user_sys_id: str, role: str) -> None:
    """Remove a role from a user."""
    instance.records.execute(
        'DELETE FROM "sys_user_has_role" WHERE "user" = ? AND "role" = ?', (user_sys_id, role_sys_id(role))
    )


def role_sys_id(role: str) -> str:
    """Return the `sys_id` of a planted role."""
    return ROLE_SYS_IDS.get(role) or sys_id_of("sys_user_role", role)


def group_sys_id(group: str) -> str:
    """Return the `sys_id` of a planted group."""
    return sys_id_of("sys_user_group", group)


def user_sys_id(user_name: str) -> str:
    """Return the `sys_id` of one of the sandbox's people."""
    return next(
        (person.sys_id for person in PEOPLE if person.user_name == user_name and person.sys_id),
        sys_id_of("sys_user", user_name),
    )


def sys_id_of(*parts: str) -> str:
    """Return a `sys_id` that is the same on every instance planted here."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]
