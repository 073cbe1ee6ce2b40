"""Domain separation: a tree of domains, and which records of which domain a caller sees (ServiceNow §15).

A domain is a row of `sys_user_group` (the table an instance uses is its own choice). A record of a domain carries its
`sys_id` in `sys_domain` and the way down to it in `sys_domain_path`; records of `global` are seen by everybody.
"""

from collections.abc import Mapping

from sandbox.servicenow.engine.data.records import Records, Row

GLOBAL = "global"
SWITCH = "simulator.domain_separation.active"


def create(records: Records, name: str, parent: str = "") -> Row:
    """Create a domain below `parent` (a `sys_id`, or none for the top of a tree) and return its row."""
    return records.insert("sys_user_group", {"name": name, "parent": parent, "type": "domain"})


def columns_of(records: Records, domain: str) -> Row:
    """Return the two columns of a record that is in `domain`: a `sys_id`, `global`, or one that nobody knows."""
    return {"sys_domain": domain, "sys_domain_path": _path(records, domain)}


def inherited(user: Mapping[str, str]) -> Row:
    """Return the two columns of a record that takes the domain of a user."""
    return {name: user[name] for name in ("sys_domain", "sys_domain_path")}


def condition(user_domain: str, user_path: str, *, global_sees_everything: bool) -> str:
    """Return what encodes the records in sight of a user: his own domain, those below it, and global ones.

    Empty if he sees all of them.
    """
    if user_domain in ("", GLOBAL):
        return "" if global_sees_everything else f"sys_domain={GLOBAL}"
    return f"sys_domain={GLOBAL}^ORsys_domain_pathSTARTSWITH{user_path}"


def _path(records: Records, domain: str) -> str:
    if domain in ("", GLOBAL):
        return "/"
    row = records.get("sys_user_group", domain)
    above = _path(records, row["parent"]) if row is not None and row["parent"] else ""
    return f"{above}!!{domain[:8]}/"
