"""Parents and children among incidents: what happens to the children of a resolved or closed one (ServiceNow §16)."""

from sandbox.servicenow.engine.data.records import Records, Row
from sandbox.servicenow.engine.properties import Properties

SWITCH = "simulator.incident.parent_sync"
_ENDED = ("6", "7")
_COPIED = (
    "state",
    "incident_state",
    "active",
    "close_code",
    "close_notes",
    "resolved_at",
    "resolved_by",
    "closed_at",
    "closed_by",
)


class IncidentFamilies:
    """Resolves and closes children with their parent; its writes are the instance's own, and no rule checks them.

    A reopened parent does not reopen its children.
    """

    def __init__(self, records: Records, properties: Properties) -> None:
        self._records = records
        self._properties = properties

    def follow_parent(self, before: Row, parent: Row) -> None:
        """Bring the children of an incident that was just resolved or closed to its state, and theirs."""
        state = parent["state"]
        if not self._properties.flag(SWITCH) or state not in _ENDED or state == before["state"]:
            return
        values = {name: parent[name] for name in _COPIED}
        behind = f"parent_incident={parent['sys_id']}^stateNOT IN{state},7,8"
        for child in self._records.query("incident", behind):
            moved = self._records.update("incident", child["sys_id"], values)
            assert moved is not None
            self.follow_parent(child, moved)
