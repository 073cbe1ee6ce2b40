"""A ServiceNow instance: its clock, properties, dictionary and records, shared by everything that serves it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.clock import Clock
from sandbox.servicenow.engine.caller import SYSTEM, Caller
from sandbox.servicenow.engine.data import domains
from sandbox.servicenow.engine.data.choices import Choices
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.glide_script import ScriptContext
from sandbox.servicenow.engine.data.records import Records
from sandbox.servicenow.engine.data.tables import TABLES
from sandbox.servicenow.engine.display import UserFormat
from sandbox.servicenow.engine.operations import Operations
from sandbox.servicenow.engine.properties import Properties
from sandbox.servicenow.engine.rules.access import AccessControl

__all__ = ["SYSTEM", "Caller", "Instance", "Properties", "Records"]


class Instance:
    """The state and rules of an instance.

    `clock`, `properties`, `access` and `records` may be changed at any time and take effect at once. `records` stores
    without checks; `operations` writes as a user does, with rights and business rules. An instance begins empty;
    `seed.plant(instance)` fills it with demonstration data and the sandbox's people.
    """

    def __init__(self, *, clock: Clock | None = None, database: str = ":memory:") -> None:
        """Open an instance over `database`, a path or (by default) memory."""
        self.clock = clock or Clock()
        self.properties = Properties()
        self.dictionary = Dictionary(TABLES)
        self.records = Records(self.dictionary, self.clock, database)
        self.choices = Choices(self.records, self.dictionary, self.properties)
        self.access = AccessControl(self.dictionary, self.properties)
        self.operations = Operations(
            records=self.records,
            dictionary=self.dictionary,
            properties=self.properties,
            choices=self.choices,
            access=self.access,
            clock=self.clock,
            scripts_of=self.scripts_of,
            label_of=self.label_of,
        )
        self.properties.when_changed(self._keep_property)
        self.properties.when_changed(self._compare_text)

    def close(self) -> None:
        """Close the database."""
        self.records.close()

    def caller(self, user_name: str, client_id: str | None = None) -> Caller | None:
        """Return the user as a caller with roles, or None if the user does not exist. Checks no password."""
        user = self.records.first("sys_user", f"user_name={user_name}")
        return self.caller_of(user["sys_id"], client_id) if user else None

    def caller_of(self, user_sys_id: str, client_id: str | None = None) -> Caller | None:
        """Return the user with that `sys_id` as a caller, or None."""
        user = self.records.get("sys_user", user_sys_id)
        if user is None:
            return None
        roles = self.records.execute(
            'SELECT r."name" FROM "sys_user_has_role" AS h JOIN "sys_user_role" AS r ON r."sys_id" = h."role" '
            """WHERE h."user" = ? AND h."state" = 'active'""",
            (user_sys_id,),
        )
        return Caller(
            user_sys_id,
            user["user_name"],
            frozenset(name for (name,) in roles),
            user["time_zone"],
            client_id,
            user["sys_domain"],
            user["sys_domain_path"],
            domains.visible_paths(self.records, user_sys_id) if self.properties.flag(domains.SWITCH) else (),
        )

    def time_zone_of(self, caller: Caller) -> ZoneInfo:
        """Return the time zone for the caller's shown and generated dates."""
        for name in (caller.time_zone, self.properties["glide.sys.default.tz"]):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
        return ZoneInfo("UTC")

    def scripts_of(self, caller: Caller) -> ScriptContext:
        """Return the context of an encoded query's functions for this caller."""
        return ScriptContext(self.clock.now(), self.time_zone_of(caller), caller.user_sys_id, caller.user_name)

    def format_of(self, caller: Caller) -> UserFormat:
        """Return how the caller sees and types dates."""
        user = self.records.get("sys_user", caller.user_sys_id) or {}
        return UserFormat(
            self.time_zone_of(caller),
            user.get("date_format") or self.properties["glide.sys.date_format"],
            user.get("time_format") or self.properties["glide.sys.time_format"],
            user.get("preferred_language") or "en",
        )

    def label_of(self, caller: Caller, table: str, column: str) -> str:
        """Return what the caller's language calls a column: the nearest class with a translation decides."""
        language = self.format_of(caller).language
        if language != "en":
            for name in self.dictionary.lineage(table):
                translated = self.records.first(
                    "sys_documentation", f"name={name}^element={column}^language={language}"
                )
                if translated is not None:
                    return translated["label"]
        return self.dictionary.columns(table)[column].display_label

    def has_web_service_access(self, table: str) -> bool:
        """Say whether the REST APIs serve a table: it exists and *Allow access via web services* is on."""
        if table not in self.dictionary:
            return False
        closed = self.records.execute(
            """SELECT 1 FROM "sys_db_object" WHERE "name" = ? AND "ws_access" = 'false'""", (table,)
        )
        return not closed

    def _compare_text(self, name: str, value: str) -> None:
        if name == "simulator.query.text_comparison":
            self.records.case_sensitive = value == "case_sensitive"

    def _keep_property(self, name: str, value: str) -> None:
        row = self.records.first("sys_properties", f"name={name}")
        if row is None:
            self.records.insert("sys_properties", {"name": name, "value": value})
        elif row["value"] != value:
            self.records.update("sys_properties", row["sys_id"], {"value": value})
