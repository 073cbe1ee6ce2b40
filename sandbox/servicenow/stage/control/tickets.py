"""The control API's handlers for what agents do to tickets, which are named by their number."""

from collections.abc import Callable, Mapping

from starlette.requests import Request

from sandbox.servicenow.engine.agent_steps import STATE_AFTER, STEPS, Step
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.journals import JOURNALS
from sandbox.servicenow.engine.rules.change_model import order_of
from sandbox.servicenow.stage.control.handling import ControlProblemError, Handlers, Json, acting, require_known

_USUAL_CODES: Mapping[str, tuple[str, ...]] = {
    "incident": ("Solution provided", "Solved (Permanently)"),
    "change_request": ("successful",),
}
"""The close code of a ticket whose agent did not say one: the first that the instance offers."""
_USUAL_NOTES = "Done."


class TicketsControl:
    """Resolving, closing, cancelling, reopening and commenting, by the rules of the Table API."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._records = instance.records

    def handlers(self) -> Handlers:
        """Return the handlers of its paths."""
        return {
            ("GET", "/tickets/{number}"): lambda request, _: self._ticket(request),
            ("GET", "/tickets/{number}/journal"): self._show_journal,
            ("POST", "/tickets/{number}/comment"): self._comment,
            **{("POST", f"/tickets/{{number}}/{step}"): self._taking(step) for step in STEPS},
        }

    def _taking(self, step: Step) -> Callable[[Request, Json], object]:
        def take(request: Request, body: Json) -> object:
            require_known(body, {"code", "notes", "as_user"})
            row, caller = self._ticket(request), acting(self._instance, body)
            table = row["sys_class_name"]
            if table not in STATE_AFTER[step]:
                raise ControlProblemError(400, f"nobody can {step} a {table}")
            values = {"state": STATE_AFTER[step][table]}
            if step in ("resolve", "close"):
                values |= self._closing(row, body)
            if step == "close" and table == "change_request":
                self._move_to_review(row, caller)
            return self._instance.operations.update(table, row["sys_id"], values, caller)

        return take

    def _closing(self, row: Row, body: Json) -> Row:
        """Return code and notes: those given, else those of the ticket, else the usual ones."""
        table = row["sys_class_name"]
        values = {"close_notes": body.get("notes") or row["close_notes"] or _USUAL_NOTES}
        if "close_code" in row:
            offered = self._instance.choices.values(table, "close_code")
            usual = next((code for code in _USUAL_CODES[table] if code in offered), "")
            values["close_code"] = body.get("code") or row["close_code"] or usual
        return values

    def _move_to_review(self, change: Row, caller: Caller) -> None:
        """Take a change through its model up to Review, with everybody's approval.

        A change without a group gets one, because the model asks for it.
        """
        sys_id, operations = change["sys_id"], self._instance.operations
        *order, review, _ = order_of(change["type"])
        while change["state"] in order:
            if approvals := operations.approvals.open(sys_id):
                approver = self._instance.caller_of(approvals[0]["approver"])
                assert approver is not None
                operations.update("sysapproval_approver", approvals[0]["sys_id"], {"state": "approved"}, approver)
            else:
                following = [*order, review][order.index(change["state"]) + 1]
                group = change["assignment_group"] or self._first_group()
                operations.update("change_request", sys_id, {"state": following, "assignment_group": group}, caller)
            moved = self._records.get("change_request", sys_id)
            assert moved is not None
            change = moved

    def _first_group(self) -> str:
        group = self._records.first("sys_user_group", "active=true^ORDERBYname")
        return group["sys_id"] if group is not None else ""

    def _comment(self, request: Request, body: Json) -> object:
        require_known(body, {"text", "column", "as_user"})
        row, column = self._ticket(request), body.get("column", "comments")
        if column not in JOURNALS:
            raise ControlProblemError(400, f"column is one of {', '.join(JOURNALS)}")
        caller = acting(self._instance, body)
        return self._instance.operations.update(row["sys_class_name"], row["sys_id"], {column: body["text"]}, caller)

    def _show_journal(self, request: Request, _: Json) -> object:
        query = f"element_id={self._ticket(request)['sys_id']}"
        return {"entries": self._records.query("sys_journal_field", query)}

    def _ticket(self, request: Request) -> Row:
        """Return the whole row of the ticket with the number in the path."""
        number = request.path_params["number"]
        ids = self._records.ids_holding("task", "number", number)
        row = self._records.get("task", ids[0]) if ids else None
        if row is None:
            raise ControlProblemError(404, f"no ticket {number}")
        whole = self._records.get(row["sys_class_name"], row["sys_id"])
        assert whole is not None
        return whole
