"""Domain separation: a tree of domains, and the domains whose records a caller sees (ServiceNow §15).

A domain is a row of `sys_user_group` (each instance chooses its table). A record in a domain carries the domain's
`sys_id` in `sys_domain` and the path down to it in `sys_domain_path`. Everybody sees the records of `global`.
"""

from collections.abc import Mapping, Sequence

from sandbox.servicenow.engine.data.records import Records, Row

GLOBAL = "global"
SWITCH = "simulator.domain_separation.active"


def create(records: Records, name: str, parent: str = "") -> Row:
    """Create a domain below `parent` (a `sys_id`, or none for the top of a tree) and return its row."""
    return records.insert("sys_user_group", {"name": name, "parent": parent, "type": "domain"})


def columns_of(records: Records, domain: str) -> Row:
    """Return the two columns of a record in `domain`: a `sys_id`, `global`, or an unknown domain."""
    return {"sys_domain": domain, "sys_domain_path": _path(records, domain)}


def inherited(user: Mapping[str, str]) -> Row:
    """Return the two columns of a record that gets a user's domain."""
    return {name: user[name] for name in ("sys_domain", "sys_domain_path")}


def visible_paths(records: Records, user_sys_id: str) -> tuple[str, ...]:
    """Return the paths of a user's visibility domains, whose records the user sees besides those of the own domain."""
    return tuple(_path(records, row["domain"]) for row in records.query("sys_user_visibility", f"user={user_sys_id}"))


def condition(user_domain: str, paths: Sequence[str], *, global_sees_everything: bool) -> str:
    """Return the encoded query for the records that a user sees: of `global`, of some domains and those below them.

    Empty if the user sees all records.
    """
    is_global = user_domain in ("", GLOBAL)
    if is_global and global_sees_everything:
        return ""
    return "^OR".join((f"sys_domain={GLOBAL}", *(f"sys_domain_pathSTARTSWITH{path}" for path in paths)))


def _path(records: Records, domain: str) -> str:
    if domain in ("", GLOBAL):
        return "/"
    row = records.get("sys_user_group", domain)
    above = _path(records, row["parent"]) if row is not None and row["parent"] else ""
    return f"{above}!!{domain[:8]}/"
