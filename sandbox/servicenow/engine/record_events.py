"""What happens to records outside the Table API: class changes, archiving, restoring, copies and overwriting.

A caller of the API sees only the resulting records.
"""

import json
from collections.abc import Mapping

from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.dictionary import SYSTEM_COLUMN_NAMES
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.glide_time import to_glide
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.tickets import STATE_MIRRORS

_NOT_COPIED = SYSTEM_COLUMN_NAMES | {
    "number",
    "state",
    *(mirror for mirror, _ in STATE_MIRRORS.values()),
    "active",
    "approval",
    *(f"{event}_{stamp}" for event in ("opened", "closed", "resolved") for stamp in ("at", "by")),
    "close_code",
    "close_notes",
    "reopen_count",
    "work_start",
    "work_end",
    "sys_domain",
    "sys_domain_path",
}


class NotArchivedError(LookupError):
    """There is no archived record with that `sys_id`."""


def change_class(instance: Instance, row: Row, to_table: str) -> Row:
    """Move a ticket to another class, as *Change class* does: same `sys_id`, number and state, one update more.

    Raises ValueError if the two classes are not stored together.
    """
    root = instance.dictionary.root(row["sys_class_name"])
    if to_table not in instance.dictionary or instance.dictionary.root(to_table) != root:
        raise ValueError(f"a {row['sys_class_name']} cannot become a {to_table}")
    moved = instance.records.update(root, row["sys_id"], {"sys_class_name": to_table})
    assert moved is not None
    return moved


def archive(instance: Instance, table: str, sys_id: str) -> None:
    """Move a record from its table to the archive: for the APIs it is gone. Raises KeyError if it does not exist."""
    row = instance.records.get(table, sys_id)
    if row is None:
        raise KeyError(sys_id)
    own_table = instance.operations.class_of(table, row)
    row = instance.records.get(own_table, sys_id)
    with instance.records.transaction():
        instance.records.insert(
            "sys_archive_log", {"from_table": own_table, "id": sys_id, "payload": json.dumps(row, ensure_ascii=False)}
        )
        instance.records.delete(own_table, sys_id)


def restore(instance: Instance, sys_id: str, changes: Mapping[str, str]) -> Row:
    """Restore an archived record as it was: update count and time are the old ones unless `changes` has others.

    Raises NotArchivedError.
    """
    entry = instance.records.first("sys_archive_log", f"id={sys_id}^restoredISEMPTY")
    if entry is None:
        raise NotArchivedError(sys_id)
    table, row = entry["from_table"], {**json.loads(entry["payload"]), **changes}
    with instance.records.transaction():
        instance.records.insert_many(table, [row])
        instance.records.update("sys_archive_log", entry["sys_id"], {"restored": to_glide(instance.clock.now())})
    restored = instance.records.get(table, sys_id)
    assert restored is not None
    return restored


def copy(instance: Instance, row: Row, caller: Caller) -> Row:
    """Create a ticket like `row`, as *Copy change* does: a new `sys_id`, number and state, the same texts and ids."""
    values = {name: value for name, value in row.items() if value and name not in _NOT_COPIED}
    if row["sys_class_name"] == "change_request":
        values["copied_from"] = row["sys_id"]
    return instance.operations.insert(row["sys_class_name"], values, caller)
