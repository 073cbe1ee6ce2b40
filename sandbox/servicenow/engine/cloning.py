"""Clones one instance over another: the target then has the records of the source, with the same `sys_id`s."""

from collections.abc import Collection, Mapping
from typing import Any

from sandbox.servicenow.engine.instance import Instance

type StoredTables = Mapping[str, Mapping[str, Any]]
"""Base table to its `columns` and `rows`."""

PRESERVED = ("oauth_entity", "oauth_credential", "sys_properties")
"""What an instance usually preserves in a clone: its clients and their tokens, and its settings."""


def stored_tables(instance: Instance) -> StoredTables:
    """Return everything that the instance stores."""
    return {root: instance.records.dump(root) for root in _roots(instance)}


def clone_over(instance: Instance, tables: StoredTables, preserved: Collection[str]) -> None:
    """Replace what the instance stores with `tables`, except for the base tables `preserved`.

    Raises ValueError if the instance has no such tables.
    """
    if unknown := (tables.keys() | set(preserved)) - _roots(instance):
        raise ValueError(f"no base tables: {', '.join(sorted(unknown))}")
    with instance.records.transaction():
        for root, stored in tables.items():
            if root not in preserved:
                instance.records.load(root, stored["columns"], stored["rows"])


def _roots(instance: Instance) -> set[str]:
    return {instance.dictionary.root(name) for name in instance.dictionary.tables}
