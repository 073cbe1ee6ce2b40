"""The instance's data: rows in SQLite, a million tickets and more, read by encoded query.

Every value goes in and comes out as text; `""` is empty (stored as NULL). This module handles defaults, system columns
and storage only; rules and rights are elsewhere.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from threading import RLock
from typing import Any

from sandbox.clock import Clock
from sandbox.servicenow.engine.data.dictionary import Column, Dictionary
from sandbox.servicenow.engine.data.encoded_query import parse
from sandbox.servicenow.engine.data.glide_script import ScriptContext
from sandbox.servicenow.engine.data.query_sql import CompiledQuery, QueryCompiler, ResolvedField, date_part
from sandbox.servicenow.engine.glide_time import to_glide

type Row = dict[str, str]

_VALUES_AT_ONCE = 500
_COLLATIONS = {"NOCASE": "", "BINARY": "_by_case"}
"""The orders of indexed text; each is part of its index's name."""
INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "task": (
        ("sys_updated_on", "sys_id", "sys_class_name", "correlation_id"),
        ("correlation_id",),
        ("number",),
        ("sys_created_on", "sys_id"),
    ),
    "sys_user": (("user_name",), ("email",)),
    "sys_user_has_role": (("user",),),
    "sys_user_grmember": (("user",),),
    "sys_choice": (("name", "element"),),
    "sysapproval_approver": (("sysapproval",),),
    "sys_journal_field": (("element_id",),),
    "sys_properties": (("name",),),
    "sys_db_object": (("name",),),
    "oauth_entity": (("client_id",),),
    "oauth_credential": (("token",), ("peer", "user", "type")),
    "sys_attachment": (("table_sys_id",),),
}
FIRST_NUMBER = 10001
"""Number of the first ticket of each kind that people create; demonstration data has lower ones."""


class DuplicateSysIdError(ValueError):
    """A row with that `sys_id` already exists."""


def new_sys_id() -> str:
    """Return a new identifier: 32 hexadecimal digits."""
    return secrets.token_hex(16)


class Records:
    """All rows of all tables. One connection, usable from any thread, one statement at a time."""

    def __init__(self, dictionary: Dictionary, clock: Clock, database: str = ":memory:") -> None:
        """Open `database` (a path, or in memory) and create what is missing."""
        self.dictionary = dictionary
        self._clock = clock
        self._lock = RLock()
        self._depth = 0
        self._next_numbers: dict[str, int] = {}
        self._supplied_numbers: set[str] = set()
        self._case_sensitive = False
        self._connection = sqlite3.connect(
            database, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        self._connection.create_function("date_part", 3, date_part, deterministic=True)
        for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "temp_store = MEMORY", "cache_size = -262144"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._create_tables()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @property
    def case_sensitive(self) -> bool:
        """Whether queries distinguish case when they compare and sort text."""
        return self._case_sensitive

    @case_sensitive.setter
    def case_sensitive(self, case_sensitive: bool) -> None:
        if case_sensitive:
            self._create_indexes("BINARY")
        self._case_sensitive = case_sensitive

    # Reading

    def get(self, table: str, sys_id: str) -> Row | None:
        """Return the row of `table` (or of a class that extends it), or None."""
        rows = self._select(table, tuple(self.dictionary.columns(table)), self._by_sys_id(table, sys_id))
        return rows[0] if rows else None

    def query(
        self,
        table: str,
        encoded_query: str = "",
        *,
        limit: int | None = None,
        offset: int = 0,
        scripts: ScriptContext | None = None,
    ) -> list[Row]:
        """Return the matching rows with all columns, in the query's order (by default, of insertion)."""
        return self._select(
            table, tuple(self.dictionary.columns(table)), self.compile(table, encoded_query, scripts), limit, offset
        )

    def first(self, table: str, encoded_query: str) -> Row | None:
        """Return the first matching row, or None."""
        rows = self.query(table, encoded_query, limit=1)
        return rows[0] if rows else None

    def ids_holding(self, table: str, column: str, value: str) -> list[str]:
        """Return the `sys_id` of each row whose column holds `value`, oldest first.

        Unlike in an encoded query, the value has no special characters.
        """
        field = self.compiler().resolve(table, column)
        if field is None or not value:
            return []
        restriction = self.compile(table, "")
        rows = self.execute(
            f'SELECT t."sys_id" FROM "{self.dictionary.root(table)}" AS t WHERE {field.expression} = ? '
            f'AND {restriction.where} ORDER BY t."sys_created_on", t."sys_id"',
            (value, *restriction.parameters),
        )
        return [sys_id for (sys_id,) in rows]

    def matches(self, table: str, sys_id: str, condition: str) -> bool:
        """Say whether a row matches an encoded query."""
        query = self.compile(table, condition)
        return bool(
            self.execute(
                f'SELECT 1 FROM "{self.dictionary.root(table)}" AS t WHERE t."sys_id" = ? AND {query.where}',
                (sys_id, *query.parameters),
            )
        )

    def count(self, table: str, query: str | CompiledQuery = "") -> int:
        """Return the number of matching rows."""
        compiled = self.compile(table, query) if isinstance(query, str) else query
        statement = f'SELECT count(*) FROM "{self.dictionary.root(table)}" AS t WHERE {compiled.where}'
        return int(self.execute(statement, compiled.parameters)[0][0])

    def compile(self, table: str, encoded_query: str, scripts: ScriptContext | None = None) -> CompiledQuery:
        """Return the SQL of an encoded query, by default for the system itself in UTC."""
        return self.compiler(scripts).compile(parse(encoded_query), table)

    def compiler(self, scripts: ScriptContext | None = None) -> QueryCompiler:
        """Return the compiler for encoded queries, by default for the system itself in UTC."""
        return QueryCompiler(self.dictionary, scripts or self._system_scripts(), case_sensitive=self.case_sensitive)

    def select(
        self,
        table: str,
        fields: Sequence[ResolvedField],
        query: CompiledQuery,
        *,
        order_by: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[str | int | None, ...]]:
        """Return the stored values of `fields`, one tuple a row; `order_by` is SQL and wins over the query's own."""
        expressions = ", ".join(field.expression for field in fields)
        order = order_by or query.order_by
        statement = (
            f'SELECT {expressions} FROM "{self.dictionary.root(table)}" AS t WHERE {query.where}'
            f"{' ORDER BY ' + order if order else ''} LIMIT ? OFFSET ?"
        )
        return self.execute(statement, (*query.parameters, -1 if limit is None else limit, offset))

    def execute(self, statement: str, parameters: Sequence[str | int | None] = ()) -> list[tuple[Any, ...]]:
        """Run one SQL statement and return all its rows."""
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def execute_for(self, statement: str, values: Iterable[str]) -> list[tuple[Any, ...]]:
        """Run an SQL statement for any number of texts in `{values}`, in batches, each text once."""
        wanted = sorted(set(values) - {""})
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(wanted), _VALUES_AT_ONCE):
            chunk = wanted[start : start + _VALUES_AT_ONCE]
            rows += self.execute(statement.replace("{values}", ", ".join("?" * len(chunk))), chunk)
        return rows

    # Writing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes of the block, or none if an exception leaves it. May be nested."""
        with self._lock:
            name = f"level_{self._depth}"
            self._connection.execute(f"SAVEPOINT {name}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._connection.execute(f"ROLLBACK TO {name}")
                raise
            finally:
                self._depth -= 1
                self._connection.execute(f"RELEASE {name}")

    def insert(self, table: str, values: Mapping[str, str], *, by: str = "system") -> Row:
        """Store a new row and return it; fill in defaults, number and system columns that `values` lacks.

        Raises DuplicateSysIdError, KeyError for a column the table lacks.
        """
        columns = self.dictionary.columns(table)
        row = self._defaults(table) | self._stamps(by) | {name: value for name, value in values.items() if value != ""}
        row.setdefault("sys_id", new_sys_id())
        if self.dictionary.has_classes(table):
            row["sys_class_name"] = table
        self._note_number(row)
        if "number" in columns and not row.get("number"):
            row["number"] = self.take_number(table)
        names = ", ".join(f'"{columns[name].name}"' for name in row)
        statement = f'INSERT INTO "{self.dictionary.root(table)}" ({names}) VALUES ({", ".join("?" * len(row))})'
        try:
            self.execute(statement, tuple(row.values()))
        except sqlite3.IntegrityError as error:
            raise DuplicateSysIdError(row["sys_id"]) from error
        return {name: row.get(name, "") for name in columns}

    def update(self, table: str, sys_id: str, values: Mapping[str, str], *, by: str = "system") -> Row | None:
        """Change the given columns and return the whole row, or None if it does not exist.

        Adds one to `sys_mod_count` and sets `sys_updated_on`, `sys_updated_by` unless `values` has them.
        """
        columns = self.dictionary.columns(table)
        stamps = {"sys_updated_on": to_glide(self._clock.now()), "sys_updated_by": by}
        assignments = {columns[name].name: value or None for name, value in (stamps | dict(values)).items()}
        sets = ", ".join(f'"{name}" = ?' for name in assignments)
        query = self._by_sys_id(table, sys_id)
        self._note_number(values)
        self.execute(
            f'UPDATE "{self.dictionary.root(table)}" AS t SET {sets}{_count_up(values)} WHERE {query.where}',
            (*assignments.values(), *query.parameters),
        )
        return self.get(table, sys_id)

    def overwrite(self, table: str, sys_id: str, values: Mapping[str, str]) -> Row | None:
        """Change only the given columns, neither stamps nor count; return the row, or None if it does not exist."""
        columns = self.dictionary.columns(table)
        query = self._by_sys_id(table, sys_id)
        sets = ", ".join(f'"{columns[name].name}" = ?' for name in values)
        self.execute(
            f'UPDATE "{self.dictionary.root(table)}" AS t SET {sets} WHERE {query.where}',
            (*(value or None for value in values.values()), *query.parameters),
        )
        return self.get(table, sys_id)

    def define_column(self, table: str, column: Column) -> None:
        """Add a column to a table, or change it; stored values stay as they are."""
        self.dictionary.define(table, column)
        root = self.dictionary.root(table)
        stored = {name for _, name, *_ in self.execute(f'PRAGMA table_info("{root}")')}
        if column.name not in stored:
            self.execute(f'ALTER TABLE "{root}" ADD COLUMN {_declared(column)}')

    def delete(self, table: str, sys_id: str) -> bool:
        """Remove a row; say whether there was one."""
        query = self._by_sys_id(table, sys_id)
        removed = self.execute(
            f'DELETE FROM "{self.dictionary.root(table)}" AS t WHERE {query.where} RETURNING 1', query.parameters
        )
        return bool(removed)

    def clear(self) -> None:
        """Remove every row of every table; numbers start again."""
        with self._lock:
            for root in {self.dictionary.root(name) for name in self.dictionary.tables}:
                self.execute(f'DELETE FROM "{root}"')
            self._forget_numbers()

    def snapshot(self) -> bytes:
        """Return a copy of everything stored, for :meth:`restore`."""
        with self._lock:
            return self._connection.serialize()

    def restore(self, snapshot: bytes) -> None:
        """Replace everything stored with a snapshot, far faster than planting again. Only for a database in memory."""
        with self._lock:
            self._connection.deserialize(snapshot)
            self._forget_numbers()

    def dump(self, root: str) -> dict[str, Any]:
        """Return the `columns` and `rows` of a base table, for :meth:`load`."""
        columns = list(self.dictionary.stored_columns(root))
        names = ", ".join(f'"{name}"' for name in columns)
        return {"columns": columns, "rows": self.execute(f'SELECT {names} FROM "{root}"')}

    def load(self, root: str, columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]) -> None:
        """Replace all rows of a base table. Raises KeyError for a column it lacks."""
        known = self.dictionary.stored_columns(root)
        names = ", ".join(f'"{known[name].name}"' for name in columns)
        with self.transaction():
            self.execute(f'DELETE FROM "{root}"')
            self._connection.executemany(
                f'INSERT INTO "{root}" ({names}) VALUES ({", ".join("?" * len(columns))})', rows
            )
            self._next_numbers.clear()

    def insert_many(self, table: str, rows: Iterable[Mapping[str, str]], *, by: str = "system") -> int:
        """Store many new rows at once (all with the keys of the first) and return their number."""
        iterator = iter(rows)
        first = next(iterator, None)
        if first is None:
            return 0
        columns = self.dictionary.columns(table)
        constant = self._defaults(table) | self._stamps(by)
        if self.dictionary.has_classes(table):
            constant["sys_class_name"] = table
        numbered = "number" in columns and "number" not in first
        constant = {name: value for name, value in constant.items() if name not in first}
        given = [columns[name].name for name in first]
        supplied = "sys_id" in first
        names = [*constant, *(["number"] if numbered else []), *([] if supplied else ["sys_id"]), *given]

        def parameters() -> Iterator[tuple[str | None, ...]]:
            fixed = tuple(constant.values())
            for row in chain((first,), iterator):
                number = (self.take_number(table),) if numbered else ()
                sys_id = () if supplied else (new_sys_id(),)
                self._note_number(row)
                yield (*fixed, *number, *sys_id, *(row[name] or None for name in given))

        statement = (
            f'INSERT INTO "{self.dictionary.root(table)}" ({", ".join(f'"{name}"' for name in names)}) '
            f"VALUES ({', '.join('?' * len(names))})"
        )
        with self.transaction():
            return self._connection.executemany(statement, parameters()).rowcount

    def update_many(self, table: str, encoded_query: str, values: Mapping[str, str], *, by: str = "system") -> int:
        """Change every matching row, all in the same second, and return their number."""
        columns = self.dictionary.columns(table)
        query = self.compile(table, encoded_query)
        stamps = {"sys_updated_on": to_glide(self._clock.now()), "sys_updated_by": by}
        assignments = {columns[name].name: value or None for name, value in (stamps | dict(values)).items()}
        sets = ", ".join(f'"{name}" = ?' for name in assignments)
        root = self.dictionary.root(table)
        self._note_number(values)
        with self._lock:
            return self._connection.execute(
                f'UPDATE "{root}" SET {sets}{_count_up(values)} '
                f'WHERE "sys_id" IN (SELECT t."sys_id" FROM "{root}" AS t WHERE {query.where})',
                (*assignments.values(), *query.parameters),
            ).rowcount

    def take_number(self, table: str) -> str:
        """Return the next unused ticket number of a kind; no number is given twice."""
        with self._lock:
            prefix = self.dictionary.tables[table].number_prefix
            if table not in self._next_numbers:
                greatest = self.execute(
                    f'SELECT max(CAST(substr("number", ?) AS INTEGER)) FROM "{self.dictionary.root(table)}" '
                    'WHERE "number" >= ? AND "number" < ?',
                    (len(prefix) + 1, f"{prefix}0", f"{prefix}:"),
                )[0][0]
                self._next_numbers[table] = max(FIRST_NUMBER, (greatest or 0) + 1)
            while True:
                number = f"{prefix}{self._next_numbers[table]:07}"
                self._next_numbers[table] += 1
                if number not in self._supplied_numbers:
                    return number

    # Within

    def _note_number(self, values: Mapping[str, str]) -> None:
        """Remember a number that the counter may still reach: asking the database each time would take too long."""
        if number := values.get("number"):
            self._supplied_numbers.add(number.upper())

    def _forget_numbers(self) -> None:
        self._next_numbers.clear()
        self._supplied_numbers.clear()

    def _select(
        self, table: str, names: Sequence[str], query: CompiledQuery, limit: int | None = None, offset: int = 0
    ) -> list[Row]:
        columns = ", ".join(f't."{name}"' for name in names)
        statement = (
            f'SELECT {columns} FROM "{self.dictionary.root(table)}" AS t WHERE {query.where}'
            f"{' ORDER BY ' + query.order_by if query.order_by else ''} LIMIT ? OFFSET ?"
        )
        stored = self.execute(statement, (*query.parameters, -1 if limit is None else limit, offset))
        return [{name: as_text(value) for name, value in zip(names, row, strict=True)} for row in stored]

    def _by_sys_id(self, table: str, sys_id: str) -> CompiledQuery:
        restriction = self.compile(table, "")
        return CompiledQuery(
            f't."sys_id" = ? AND {restriction.where}', (sys_id, *restriction.parameters), "", (), (), frozenset()
        )

    def _system_scripts(self) -> ScriptContext:
        return ScriptContext.in_utc(self._clock.now())

    def _defaults(self, table: str) -> Row:
        return {column.name: column.default for column in self.dictionary.columns(table).values() if column.default}

    def _stamps(self, by: str) -> Row:
        now = to_glide(self._clock.now())
        return {
            "sys_created_on": now,
            "sys_created_by": by,
            "sys_updated_on": now,
            "sys_updated_by": by,
            "sys_mod_count": "0",
        }

    def _create_tables(self) -> None:
        for root in {self.dictionary.root(name) for name in self.dictionary.tables}:
            columns = ", ".join(map(_declared, self.dictionary.stored_columns(root).values()))
            self._connection.execute(f'CREATE TABLE IF NOT EXISTS "{root}" ({columns})')
        self._create_indexes("NOCASE")

    def _create_indexes(self, collation: str) -> None:
        """Create all indexes for text compared by `collation`, even those without such text."""
        for root, indexes in INDEXES.items():
            columns = self.dictionary.stored_columns(root)
            for index in indexes:
                is_text = [columns[name].kind == "string" for name in index]
                keys = ", ".join(
                    f'"{name}"{f" COLLATE {collation}" if text else ""}'
                    for name, text in zip(index, is_text, strict=True)
                )
                name = f"{root}_{'_'.join(index)}{_COLLATIONS[collation] if is_text[0] else ''}"
                self._connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}" ON "{root}" ({keys})')


def _declared(column: Column) -> str:
    return (
        f'"{column.name}" {"INTEGER" if column.kind == "integer" else "TEXT"}'
        f"{' COLLATE NOCASE' if column.kind == 'string' else ''}"
        f"{' NOT NULL UNIQUE' if column.name == 'sys_id' else ''}"
    )


def _count_up(values: Mapping[str, str]) -> str:
    return "" if "sys_mod_count" in values else ', "sys_mod_count" = "sys_mod_count" + 1'


def as_text(value: str | int | None) -> str:
    """Return a stored value as the APIs return it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)
