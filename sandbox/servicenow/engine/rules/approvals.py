"""Approvals of changes: who approves, and which state follows their answer (ServiceNow §11.6, §11.9).

The assignment group approves a normal change in Assess, then the change advisory board in Authorize. An emergency
change needs the board only. One approver is enough. A rejection sends the change back to New.
"""

from sandbox.servicenow.engine.data.records import Records, Row
from sandbox.servicenow.engine.properties import Properties
from sandbox.servicenow.engine.rules.change_model import ASSESS, AUTHORIZE, CANCELED, NEW, SCHEDULED

SWITCH = "simulator.change.approvals"
BOARD = "CAB Approval"
"""Name of the group whose members approve in Authorize."""


class Approvals:
    """Requests approvals and moves changes on; its writes are the instance's own, and no rule checks them."""

    def __init__(self, records: Records, properties: Properties) -> None:
        self._records = records
        self._properties = properties

    def open(self, change_sys_id: str) -> list[Row]:
        """Return the open approvals of a change."""
        return self._records.query("sysapproval_approver", f"sysapproval={change_sys_id}^state=requested")

    def follow_change(self, before: Row | None, change: Row) -> None:
        """Request the approvals that a change needs in its new state; `before` is None for a new change."""
        if not self._properties.flag(SWITCH):
            return
        if before is None:
            if change["type"] == "standard":
                self._records.overwrite("change_request", change["sys_id"], {"approval": "approved"})
        elif change["state"] != before["state"]:
            self._end_open(change["sys_id"], "cancelled")
            if change["state"] in (ASSESS, AUTHORIZE):
                self._ask(change)
            elif change["state"] in (NEW, CANCELED):
                self._records.overwrite("change_request", change["sys_id"], {"approval": "not requested"})

    def follow_decision(self, before: Row, approval: Row) -> None:
        """Move the change on, or back to New, after an approver has answered."""
        change = self._records.get("change_request", approval["sysapproval"])
        if before["state"] != "requested" or change is None:
            return
        if approval["state"] == "approved":
            self._end_open(change["sys_id"], "not_required")
            self._advance(change)
        elif approval["state"] == "rejected":
            self._end_open(change["sys_id"], "cancelled")
            back = {"state": NEW, "approval": "rejected", "on_hold": "false"}
            self._records.update("change_request", change["sys_id"], back)

    def _ask(self, change: Row) -> None:
        approvers = self._approvers(change)
        for approver in approvers:
            self._records.insert(
                "sysapproval_approver",
                {
                    "sysapproval": change["sys_id"],
                    "document_id": change["sys_id"],
                    "source_table": "change_request",
                    "approver": approver,
                },
            )
        if approvers:
            self._records.overwrite("change_request", change["sys_id"], {"approval": "requested"})
        else:
            # "No approvals were generated": without approvers, the change does not wait.
            self._advance(change)

    def _advance(self, change: Row) -> None:
        following = {ASSESS: AUTHORIZE, AUTHORIZE: SCHEDULED}[change["state"]]
        approval = "approved" if following == SCHEDULED else "requested"
        moved = self._records.update("change_request", change["sys_id"], {"state": following, "approval": approval})
        assert moved is not None
        if following == AUTHORIZE:
            self._ask(moved)

    def _approvers(self, change: Row) -> list[str]:
        group = change["assignment_group"]
        if change["state"] == AUTHORIZE:
            board = self._records.first("sys_user_group", f"name={BOARD}")
            group = board["sys_id"] if board is not None else ""
        members = self._records.query("sys_user_grmember", f"group={group}^user.active=true^ORDERBYuser.name")
        return [member["user"] for member in members] if group else []

    def _end_open(self, change_sys_id: str, state: str) -> None:
        for approval in self.open(change_sys_id):
            self._records.update("sysapproval_approver", approval["sys_id"], {"state": state})
