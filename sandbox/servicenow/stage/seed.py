"""Demonstration data the size of a new instance's, and the sandbox's own people.

Everything follows from constants and one seeded generator, so that every instance begins alike. Demonstration tickets
have numbers below those people create, and nothing to do with the product: its queries have something to miss.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.servicenow.engine.clock import to_glide
from sandbox.servicenow.engine.data.choice_lists import CHOICE_LISTS
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.tickets import PRIORITY_MATRIX

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
    """Somebody who can sign in to the sandbox's ServiceNow instance."""

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
"""The sandbox's people and their passwords. They are no secret: nothing outside the sandbox knows them."""

_FIRST_NAMES = (
    "Abel Aileen Beth Bow Carol Charlie David Don Eva Fred Georgia Howard Ida Joe Karen Luke Mia Natasha Omar Priya "
    "Quinn Rick Sue Taylor Uma Victor Wendy Xavier Yuki Zane"
)
_LAST_NAMES = (
    "Anglin Baker Coughlin Dawson Edwards Fenton Goodliffe Hales Ingram Jimenez Kowalski Luddy Miller Nguyen Ortiz "
    "Patel Ruggeri Sato Tuter Underwood Whitherspoon Yamada"
)
_NAMES = tuple((first, last) for last in _LAST_NAMES.split() for first in _FIRST_NAMES.split())
_USER_SYS_IDS = {"natasha.ingram": "46c5bf6ca9fe1981010713e3ac7d3384"}
_FINANCE_SYS_ID = "a581ab703710200044e0bfc8bcbe5de8"
_PROBLEM_ADMIN = ("26fbff173b331300ad3cc9bb34efc4bd", "problem.admin", "Problem", "Admin")
_USER_COUNT = 640
_ADMINISTRATORS = 12
_WITH_MOBILE_PHONE = 11
_TOPICS = (
    "Unable to connect to email",
    "Laptop does not start after update",
    "VPN drops every few minutes",
    "Cannot print on the third floor",
    "Disk of the file server almost full",
    "Single sign-on asks for the password again",
    "Payroll report shows last month",
    "Meeting room screen stays black",
    "Phishing message reported by several people",
    "Wireless network slow in the east wing",
    "Database cluster failed over",
    "Certificate of the intranet expires soon",
)


def plant(instance: Instance, *, seed: int = 1) -> None:
    """Fill an empty instance with demonstration data and the sandbox's people."""
    generator = random.Random(seed)  # noqa: S311  (demonstration data, no secret)
    now = instance.clock.now()
    with instance.records.transaction():
        plant_essentials(instance)
        users = _plant_demonstration_users(instance)
        _plant_memberships(instance, users)
        _plant_inventory(instance)
        _plant_tickets(instance, users, generator, now)
        _plant_log(instance, generator)
        _list_application_files(instance)


def plant_essentials(instance: Instance) -> None:
    """Fill an empty instance with what it cannot do without, and the sandbox's people; no tickets."""
    with instance.records.transaction():
        _plant_dictionary(instance)
        instance.choices.plant()
        _plant_properties(instance)
        instance.records.insert("std_change_properties", {})
        _plant_roles_and_groups(instance)
        for person in PEOPLE:
            add_person(instance, person)


def add_person(instance: Instance, person: Person) -> str:
    """Create a user with password, roles and groups, and return its `sys_id`."""
    sys_id = person.sys_id or _sys_id("sys_user", person.user_name)
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
    """Take a role from a user."""
    instance.records.execute(
        'DELETE FROM "sys_user_has_role" WHERE "user" = ? AND "role" = ?', (user_sys_id, role_sys_id(role))
    )


def role_sys_id(role: str) -> str:
    """Return the `sys_id` of a planted role."""
    return ROLE_SYS_IDS.get(role) or _sys_id("sys_user_role", role)


def group_sys_id(group: str) -> str:
    """Return the `sys_id` of a planted group."""
    return _sys_id("sys_user_group", group)


def user_sys_id(user_name: str) -> str:
    """Return the `sys_id` of one of the sandbox's people."""
    return next(
        (person.sys_id for person in PEOPLE if person.user_name == user_name and person.sys_id),
        _sys_id("sys_user", user_name),
    )


def _demonstration_user_sys_id(number: int) -> str:
    name = _user_name(number)
    return _USER_SYS_IDS.get(name) or _sys_id("sys_user", name)


def _sys_id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def _plant_dictionary(instance: Instance) -> None:
    records, tables = instance.records, instance.dictionary.tables
    records.insert_many(
        "sys_db_object",
        (
            {
                "sys_id": _sys_id("sys_db_object", table.name),
                "name": table.name,
                "sys_name": table.label,
                "label": table.label,
                "super_class": _sys_id("sys_db_object", table.parent) if table.parent else "",
            }
            for table in tables.values()
        ),
    )
    # Known by name only: they stand for the thousands of tables that the REST APIs here do not serve.
    records.insert_many(
        "sys_db_object",
        (
            {
                "sys_id": _sys_id("sys_db_object", name),
                "name": name,
                "sys_name": label,
                "label": label,
                "ws_access": "false",
            }
            for name, label in (
                ("alm_asset", "Asset"),
                ("bsm_chart", "BSM Chart"),
                ("sn_si_incident", "Security Incident"),
            )
        ),
    )
    records.insert_many(
        "sys_dictionary",
        (
            {
                "name": table.name,
                "element": column.name,
                "internal_type": "glide_date_time" if column.kind == "date_time" else column.kind,
                "reference": column.reference,
                "column_label": column.display_label,
                "max_length": str(column.length),
                "default_value": column.default,
                "read_only": "true" if column.read_only else "false",
                "display": "true" if column.name == table.display else "false",
                "choice": "1" if (table.name, column.name) in CHOICE_LISTS else "0",
            }
            for table in tables.values()
            for column in table.columns
        ),
    )


def _plant_properties(instance: Instance) -> None:
    instance.records.insert_many(
        "sys_properties",
        (
            {
                "name": definition.name,
                "value": instance.properties[definition.name],
                "type": definition.kind,
                "description": definition.description,
                "choices": ",".join(definition.choices),
            }
            for definition in instance.properties.definitions.values()
        ),
    )


def _plant_roles_and_groups(instance: Instance) -> None:
    records = instance.records
    records.insert_many("sys_user_role", ({"sys_id": role_sys_id(role), "name": role} for role in ROLES))
    records.insert_many(
        "sys_user_group",
        (
            {
                "sys_id": group_sys_id(group),
                "name": group,
                "description": f"{group} team",
                "manager": _demonstration_user_sys_id(number) if number < 6 else "",
            }
            for number, group in enumerate(GROUPS)
        ),
    )
    records.insert_many(
        "sys_group_has_role",
        (
            {"group": group_sys_id(group), "role": role_sys_id(role)}
            for group, role in (
                ("Service Desk", "itil"),
                ("Network", "itil"),
                ("Security Operations", "sn_incident_write"),
                ("Change Management", "itil_admin"),
                ("Problem Solving", "user_admin"),
                ("CAB Approval", "group_admin"),
                ("Catalog Request Approvers", "catalog_admin"),
            )
        ),
    )


def _user_name(number: int) -> str:
    return ".".join(_NAMES[number]).lower()


def _plant_demonstration_users(instance: Instance) -> list[str]:
    instance.records.update("sys_user", ADMIN_SYS_ID, {"department": _FINANCE_SYS_ID})
    department_ids = [_FINANCE_SYS_ID, *(_sys_id("cmn_department", str(number)) for number in range(3))]
    people = [
        (_demonstration_user_sys_id(number), _user_name(number), *_NAMES[number]) for number in range(_USER_COUNT)
    ]
    instance.records.insert_many(
        "sys_user",
        (
            {
                "sys_id": sys_id,
                "user_name": user_name,
                "first_name": first,
                "last_name": last,
                "name": f"{first} {last}",
                "email": f"{user_name}@example.com",
                "active": "false" if number % 97 == 96 else "true",
                "mobile_phone": f"+1 555 01{number:02}" if number < _WITH_MOBILE_PHONE else "",
                "department": department_ids[number % len(department_ids)],
                "location": _sys_id("cmn_location", str(number % 5)),
                "company": _sys_id("core_company", "0"),
            }
            for number, (sys_id, user_name, first, last) in enumerate([*people, _PROBLEM_ADMIN])
        ),
    )
    return [sys_id for sys_id, *_ in people]


def _plant_memberships(instance: Instance, users: Sequence[str]) -> None:
    roles = [(user, "admin") for user in users[: _ADMINISTRATORS - 1]]
    roles += [(user, "itil") for user in users[:60]] + [(_PROBLEM_ADMIN[0], "sn_problem_write")]
    instance.records.insert_many(
        "sys_user_has_role", ({"user": user, "role": role_sys_id(role)} for user, role in roles), by="admin"
    )
    instance.records.insert_many(
        "sys_user_grmember",
        ({"user": user, "group": group_sys_id(GROUPS[number % len(GROUPS)])} for number, user in enumerate(users[:60])),
        by="admin",
    )


def _plant_inventory(instance: Instance) -> None:
    named = {
        "cmdb_ci": [
            "Exchange Online",
            "SharePoint Online",
            "SAP ERP",
            "File server",
            "VPN gateway",
            "Payroll",
            "Intranet",
        ],
        "core_company": ["ACME North America", "ACME EMEA", "ACME APAC"],
        "cmn_location": ["Berlin", "San Diego", "Tokyo", "London", "Sydney"],
        "cmn_department": ["IT", "Sales", "HR"],
        "chg_model": ["Normal", "Standard", "Emergency"],
        "prb_model": ["General"],
        "sc_cat_item": ["Standard laptop", "New mailbox"],
        "std_change_producer_version": ["Reboot Windows Server"],
    }
    for table, names in named.items():
        instance.records.insert_many(
            table, ({"sys_id": _sys_id(table, str(number)), "name": name} for number, name in enumerate(names))
        )

    instance.records.insert(
        "cmn_department",
        {"sys_id": _FINANCE_SYS_ID, "name": "Finance", "dept_head": _USER_SYS_IDS["natasha.ingram"]},
    )


def _plant_tickets(instance: Instance, users: Sequence[str], generator: random.Random, now: datetime) -> None:
    def common(prefix: str, number: int, closed: bool) -> dict[str, str]:
        opened_at = now - timedelta(days=90, hours=generator.randint(0, 200)) + timedelta(hours=number * 17)
        updated_at = min(opened_at + timedelta(minutes=generator.randint(5, 9000)), now - timedelta(minutes=number + 1))
        return {
            "sys_id": f"{generator.getrandbits(128):032x}",
            "number": f"{prefix}{number:07}",
            "short_description": _TOPICS[generator.randrange(len(_TOPICS))],
            "opened_at": to_glide(opened_at),
            "opened_by": generator.choice(users),
            "assigned_to": generator.choice(users[:60]) if generator.random() < 0.7 else "",
            "assignment_group": group_sys_id(generator.choice(GROUPS)),
            "cmdb_ci": _sys_id("cmdb_ci", str(generator.randrange(7))),
            "sys_created_on": to_glide(opened_at),
            "sys_updated_on": to_glide(updated_at),
            "sys_mod_count": str(generator.randint(1, 12)),
            "active": "false" if closed else "true",
            "closed_at": to_glide(updated_at) if closed else "",
        }

    def incidents() -> Iterator[dict[str, str]]:
        for number in range(1, 68):
            state = generator.choice(("1", "2", "2", "3", "6", "7", "7", "8"))
            impact, urgency = generator.choice("123"), generator.choice("123")
            resolved = state in ("6", "7")
            row = common("INC", number, state in ("7", "8"))
            yield row | {
                "caller_id": generator.choice(users),
                "state": state,
                "incident_state": state,
                "impact": impact,
                "urgency": urgency,
                "priority": PRIORITY_MATRIX[impact, urgency],
                "category": generator.choice(("inquiry", "software", "hardware", "network", "database")),
                "hold_reason": generator.choice("1345") if state == "3" else "",
                "close_code": "Solution provided" if resolved else "",
                "close_notes": "Done." if resolved else "",
                "resolved_at": row["sys_updated_on"] if resolved else "",
            }

    def changes() -> Iterator[dict[str, str]]:
        for number in range(1, 106):
            state = generator.choice(("-5", "-4", "-3", "-2", "-1", "0", "3", "3", "4"))
            yield common("CHG", number, state in ("3", "4")) | {
                "state": state,
                "type": generator.choice(("normal", "normal", "standard", "emergency")),
                "requested_by": generator.choice(users),
                "risk": generator.choice("234"),
                "close_code": "successful" if state == "3" else "",
                "close_notes": "Done." if state == "3" else "",
            }

    def problems() -> Iterator[dict[str, str]]:
        for number in range(1, 34):
            state = generator.choice(("101", "102", "103", "104", "106", "107"))
            impact, urgency = generator.choice("123"), generator.choice("123")
            yield common("PRB", number, state == "107") | {
                "state": state,
                "problem_state": state,
                "impact": impact,
                "urgency": urgency,
                "priority": PRIORITY_MATRIX[impact, urgency],
            }

    def catalog_tasks() -> Iterator[dict[str, str]]:
        for number in range(1, 41):
            state = generator.choice(("-5", "1", "2", "3", "4"))
            yield common("SCTASK", number, state in ("3", "4")) | {"state": state}

    records = instance.records
    records.insert_many("incident", incidents(), by="admin")
    records.insert_many("change_request", changes(), by="admin")
    records.insert_many("problem", problems(), by="admin")
    records.insert_many("sc_task", catalog_tasks(), by="admin")
    records.insert_many(
        "sys_journal_field",
        [
            {
                "name": "incident",
                "element": "comments",
                "element_id": incident["sys_id"],
                "value": "We are looking into it.",
            }
            for incident in records.query("incident", "ORDERBYnumber", limit=20)
        ],
    )


def _plant_log(instance: Instance, generator: random.Random) -> None:
    instance.records.insert_many(
        "syslog",
        (
            {"message": f"Scheduled job {generator.randrange(40)} ended", "source": "Scheduler", "level": "0"}
            for _ in range(700)
        ),
    )


def _list_application_files(instance: Instance) -> None:
    """Repeat what configures the instance in `sys_metadata`, where a real one keeps all of it."""
    for table, name in (("sys_db_object", "label"), ("sys_dictionary", "column_label"), ("sys_choice", "label")):
        rows = instance.records.query(table)
        instance.records.insert_many(
            "sys_metadata",
            ({"sys_id": row["sys_id"], "sys_name": row[name], "sys_class_name": table} for row in rows),
        )
