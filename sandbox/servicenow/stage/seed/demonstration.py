"""Demonstration data, as much as a new instance has.

Everything follows from constants and one seeded generator, so that every instance begins alike. Demonstration tickets
have lower numbers than those that people create. The product's queries must not find them.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.tickets import PRIORITY_MATRIX
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from sandbox.servicenow.stage.seed.people import ADMIN_SYS_ID, GROUPS, group_sys_id, role_sys_id, sys_id_of

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
_MANAGED_GROUPS = 6
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
        _appoint_managers(instance, users)
        _plant_memberships(instance, users)
        _plant_inventory(instance)
        _plant_tickets(instance, users, generator, now)
        _plant_log(instance, generator)
        _list_application_files(instance)


def _demonstration_user_sys_id(number: int) -> str:
    name = _user_name(number)
    return _USER_SYS_IDS.get(name) or sys_id_of("sys_user", name)


def _user_name(number: int) -> str:
    return ".".join(_NAMES[number]).lower()


def _plant_demonstration_users(instance: Instance) -> list[str]:
    instance.records.update("sys_user", ADMIN_SYS_ID, {"department": _FINANCE_SYS_ID})
    department_ids = [_FINANCE_SYS_ID, *(sys_id_of("cmn_department", str(number)) for number in range(3))]
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
                "location": sys_id_of("cmn_location", str(number % 5)),
                "company": sys_id_of("core_company", "0"),
            }
            for number, (sys_id, user_name, first, last) in enumerate([*people, _PROBLEM_ADMIN])
        ),
    )
    return [sys_id for sys_id, *_ in people]


def _appoint_managers(instance: Instance, users: Sequence[str]) -> None:
    for group, user in zip(GROUPS[:_MANAGED_GROUPS], users, strict=False):
        instance.records.overwrite("sys_user_group", group_sys_id(group), {"manager": user})


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
            table, ({"sys_id": sys_id_of(table, str(number)), "name": name} for number, name in enumerate(names))
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
            "cmdb_ci": sys_id_of("cmdb_ci", str(generator.randrange(7))),
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
    """Copy the configuration records to `sys_metadata`, where a real instance keeps all of them."""
    for table, name in (("sys_db_object", "label"), ("sys_dictionary", "column_label"), ("sys_choice", "label")):
        rows = instance.records.query(table)
        instance.records.insert_many(
            "sys_metadata",
            ({"sys_id": row["sys_id"], "sys_name": row[name], "sys_class_name": table} for row in rows),
        )
