"""What every instance needs: its dictionary, choices, properties, roles and groups, and the sandbox's people."""

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.second_factor import EXEMPTED_GROUP
from sandbox.servicenow.stage.seed.people import GROUPS, PEOPLE, ROLES, add_person, group_sys_id, role_sys_id, sys_id_of


def plant_essentials(instance: Instance) -> None:
    """Fill an empty instance with what it needs and the sandbox's people, without tickets."""
    with instance.records.transaction():
        _plant_dictionary(instance)
        instance.choices.plant()
        _plant_properties(instance)
        instance.records.insert("std_change_properties", {})
        _plant_roles_and_groups(instance)
        for person in PEOPLE:
            add_person(instance, person)


def _plant_dictionary(instance: Instance) -> None:
    records, tables = instance.records, instance.dictionary.tables
    records.insert_many(
        "sys_db_object",
        (
            {
                "sys_id": sys_id_of("sys_db_object", table.name),
                "name": table.name,
                "sys_name": table.label,
                "label": table.label,
                "super_class": sys_id_of("sys_db_object", table.parent) if table.parent else "",
            }
            for table in tables.values()
        ),
    )
    # Names only: they stand for the thousands of tables that the REST APIs here do not serve.
    records.insert_many(
        "sys_db_object",
        (
            {
                "sys_id": sys_id_of("sys_db_object", name),
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
            column.entry(table.name) | {"display": "true" if column.name == table.display else "false"}
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
            }
            for group in (*GROUPS, EXEMPTED_GROUP)
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
