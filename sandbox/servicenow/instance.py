"""One ServiceNow instance: its clock, properties, dictionary and records, shared by everything that serves it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.servicenow.caller import SYSTEM, Caller
from sandbox.servicenow.clock import Clock
from sandbox.servicenow.dictionary import Dictionary
from sandbox.servicenow.glide_script import ScriptContext
from sandbox.servicenow.properties import Properties
from sandbox.servicenow.records import Records

__all__ = ["SYSTEM", "Caller", "Clock", "Instance", "Properties", "Records"]


class Instance:
    """What an instance is. `clock`, `properties` and `records` may be changed at any time and take effect at once.

    An instance begins empty; `seed.plant(instance)` fills it with demonstration data and the sandbox's people.
    """

    def __init__(self, *, clock: Clock | None = None, database: str = ":memory:") -> None:
        """Open an instance over `database`, a path or (by default) memory."""
        self.clock = clock or Clock()
        self.properties = Properties()
        self.dictionary = Dictionary()
        self.records = Records(self.dictionary, self.clock, database)

    def close(self) -> None:
        """Close the database."""
        self.records.close()

    def caller(self, user_name: str, client_id: str | None = None) -> Caller | None:
        """Return the user as a caller, roles included; None if there is no such user. Asks for no password."""
        user = self.records.first("sys_user", f"user_name={user_name}")
        return self.caller_of(user["sys_id"], client_id) if user else None

    def caller_of(self, user_sys_id: str, client_id: str | None = None) -> Caller | None:
        """Return the user of that `sys_id` as a caller, None if there is none."""
        user = self.records.get("sys_user", user_sys_id)
        if user is None:
            return None
        roles = self.records.execute(
            'SELECT r."name" FROM "sys_user_has_role" AS h JOIN "sys_user_role" AS r ON r."sys_id" = h."role" '
            """WHERE h."user" = ? AND h."state" = 'active'""",
            (user_sys_id,),
        )
        return Caller(
            user_sys_id, user["user_name"], frozenset(name for (name,) in roles), user["time_zone"], client_id
        )

    def time_zone_of(self, caller: Caller) -> ZoneInfo:
        """Return the zone in which the caller's dates are shown and generated."""
        for name in (caller.time_zone, self.properties["glide.sys.default.tz"]):
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
        return ZoneInfo("UTC")

    def scripts_of(self, caller: Caller) -> ScriptContext:
        """Return what the functions of an encoded query see when this caller asks."""
        return ScriptContext(self.clock.now(), self.time_zone_of(caller), caller.user_sys_id, caller.user_name)
