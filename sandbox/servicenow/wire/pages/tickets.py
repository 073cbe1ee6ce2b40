"""Pages for the people who work on tickets: a list, a ticket, and the forms to change it.

They write as the signed-in user, with the same rights and rules as the Table API. Tickets have the same addresses as
on a real instance (`/incident.do?sys_id=…`, also behind `/nav_to.do`).
"""

import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.servicenow.engine.accounts import may_sign_in
from sandbox.servicenow.engine.agent_steps import STATE_AFTER, STEPS, steps_open_to
from sandbox.servicenow.engine.caller import Caller
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.errors import ServiceNowError
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.journals import JOURNALS
from sandbox.servicenow.wire.forms import form_of
from sandbox.servicenow.wire.pages.login import LoginPages
from sandbox.servicenow.wire.pages.page import message_page, page
from sandbox.servicenow.wire.sessions import session_of

_CLASSES = ("incident", "change_request", "problem", "sc_task")
_PAGE_SIZE = 50
_AGENT_ROLE = "itil"
_DETAILS = (
    "short_description",
    "description",
    "caller_id",
    "requested_by",
    "approval",
    "type",
    "category",
    "impact",
    "urgency",
    "priority",
    "assignment_group",
    "assigned_to",
    "due_date",
    "hold_reason",
    "close_code",
    "close_notes",
    "resolved_by",
    "resolved_at",
    "closed_by",
    "closed_at",
    "parent",
    "parent_incident",
    "correlation_id",
    "correlation_display",
    "opened_by",
    "opened_at",
    "sys_updated_by",
    "sys_updated_on",
)
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "change_state": ("state", "hold_reason", "close_code", "close_notes", "comments"),
    "resolve": ("close_code", "close_notes"),
    "close": ("close_code", "close_notes"),
    "cancel": ("comments",),
    "reopen": ("comments",),
    "assign": ("assignment_group", "assigned_to"),
    "comment": ("comments", "work_notes"),
    "decide": ("state", "comments"),
}
"""The fields that each form may change; fields left empty stay as they are."""


class AgentPages:
    """The list at `/`, and a page for each ticket."""

    def __init__(self, instance: Instance, login_pages: LoginPages) -> None:
        self._instance = instance
        self._records = instance.records
        self._login_pages = login_pages

    def routes(self) -> list[Route]:
        """Return the pages."""
        tickets = [
            Route(f"/{table}.do", endpoint, methods=[method])
            for table in ("task", *_CLASSES)
            for method, endpoint in (("GET", self._ticket), ("POST", self._act))
        ]
        return [
            Route("/", self._list, methods=["GET"]),
            Route("/nav_to.do", self._navigate, methods=["GET"]),
            Route("/now/nav/ui/classic/params/target/{target:path}", self._navigate, methods=["GET"]),
            *tickets,
        ]

    async def _navigate(self, request: Request) -> Response:
        target = unquote(request.path_params.get("target", "")) or request.query_params.get("uri", "")
        return RedirectResponse("/" + quote(target.lstrip("/\\"), safe="/?=&%.-_~"), 302)

    async def _list(self, request: Request) -> Response:
        caller = self._signed_in(request)
        if caller is None:
            return self._sign_in_first(request)
        chosen = request.query_params.get("kind", "")
        search = request.query_params.get("search", "").replace("^", " ").strip()
        number = max(0, int(start)) if (start := request.query_params.get("page", "0")).isdecimal() else 0
        rows = self._tickets(caller, [chosen] if chosen in _CLASSES else list(_CLASSES), search, number)
        return page(
            "tickets.html",
            caller=caller,
            kinds={name: self._instance.dictionary.tables[name].label for name in _CLASSES},
            chosen=chosen,
            search=search,
            page_number=number,
            has_more=len(rows) > _PAGE_SIZE,
            tickets=[self._shown(row, caller) | {"address": _address(row)} for row in rows[:_PAGE_SIZE]],
        )

    def _tickets(self, caller: Caller, classes: list[str], search: str, number: int) -> list[Row]:
        """Return one page of rows that the caller may read, and one more row if it exists, latest change first."""
        conditions = {name: self._instance.access.row_condition(caller, "read", name) for name in classes}
        unrestricted = [name for name, condition in conditions.items() if condition == ""]
        queries = [(name, condition) for name, condition in conditions.items() if condition]
        if unrestricted:
            queries.append(("task", f"sys_class_nameIN{','.join(unrestricted)}"))
        found = f"short_descriptionLIKE{search}^ORnumber={search}^ORcorrelation_id={search}" if search else ""
        rows: list[Row] = []
        for table, condition in queries:
            groups = [f"{group}^{found}".rstrip("^") for group in condition.split("^NQ")]
            query = f"{'^NQ'.join(groups)}^ORDERBYDESCsys_updated_on"
            scripts = self._instance.scripts_of(caller)
            rows += self._records.query(table, query, limit=(number + 1) * _PAGE_SIZE + 1, scripts=scripts)
        ordered = sorted(rows, key=lambda row: row["sys_updated_on"], reverse=True)
        return ordered[number * _PAGE_SIZE :]

    async def _ticket(self, request: Request) -> Response:
        caller = self._signed_in(request)
        if caller is None:
            return self._sign_in_first(request)
        row = self._visible(request, caller)
        return _not_found() if row is None else self._ticket_page(request, caller, row)

    async def _act(self, request: Request) -> Response:
        caller = self._signed_in(request)
        if caller is None:
            return self._sign_in_first(request)
        row = self._visible(request, caller)
        if row is None:
            return _not_found()
        form = await form_of(request)
        if not hmac.compare_digest(form.get("sysparm_ck", ""), session_of(request).check_token):
            return message_page("Security constraint", "Your session has changed. Open the page again.", 403)
        action = form.get("action", "")
        values = {name: form[name] for name in _ACTIONS.get(action, ()) if form.get(name)}
        table, sys_id = row["sys_class_name"], row["sys_id"]
        if action in STEPS and table in STATE_AFTER[action]:
            values["state"] = STATE_AFTER[action][table]
        if action == "decide":
            table, sys_id = "sysapproval_approver", self._asked(row, caller)
        try:
            self._instance.operations.update(table, sys_id, values, caller)
        except ServiceNowError as error:
            return self._ticket_page(request, caller, row, f"{error.message}\n{error.detail or ''}")
        return RedirectResponse(f"{_address(row)}&done={action}", 303)

    def _visible(self, request: Request, caller: Caller) -> Row | None:
        row = self._instance.operations.visible("task", request.query_params.get("sys_id", ""), caller)
        return None if row is None else self._records.get(row["sys_class_name"], row["sys_id"])

    def _asked(self, row: Row, caller: Caller) -> str:
        """Return the `sys_id` of the approval that waits for the caller, or an empty text."""
        approvals = self._instance.operations.approvals.open(row["sys_id"])
        return next((one["sys_id"] for one in approvals if one["approver"] == caller.user_sys_id), "")

    def _ticket_page(self, request: Request, caller: Caller, row: Row, problem: str = "") -> Response:
        table = row["sys_class_name"]
        columns = self._instance.dictionary.columns(table)
        shown = self._shown(row, caller)
        readable = ",".join(self._readable_journals(table, caller))
        entries = f"element_id={row['sys_id']}^elementIN{readable}^ORDERBYDESCsys_created_on"
        journal = self._records.query("sys_journal_field", entries)
        user_format = self._instance.format_of(caller)
        return page(
            "ticket.html",
            400 if problem else 200,
            caller=caller,
            table=table,
            ticket=shown,
            raw=row,
            address=_address(row),
            details=[(columns[name].display_label, shown[name]) for name in _DETAILS if name in columns],
            states=self._instance.choices.labels(table, "state"),
            hold_reasons=self._instance.choices.labels(table, "hold_reason") if table == "incident" else {},
            close_codes=self._instance.choices.labels(table, "close_code") if "close_code" in columns else {},
            steps=steps_open_to(row, is_admin=caller.is_admin),
            groups=self._names("sys_user_group", "active=true"),
            agents=self._agents(),
            asked=bool(self._asked(row, caller)),
            journal=[entry | {"at": user_format.show_date_time(entry["sys_created_on"])} for entry in journal],
            check_token=session_of(request).check_token,
            problem=problem,
            done=request.query_params.get("done", "") in _ACTIONS,
        )

    def _readable_journals(self, table: str, caller: Caller) -> list[str]:
        fields = {column: self._records.compiler().resolve(table, column) for column in JOURNALS}
        return [name for name, field in fields.items() if field and self._instance.access.may_read_field(caller, field)]

    def _shown(self, row: Row, caller: Caller) -> dict[str, str]:
        table = row["sys_class_name"]
        user_format = self._instance.format_of(caller)
        shown: dict[str, str] = {}
        for name, value in row.items():
            column = self._instance.dictionary.columns(table)[name]
            if column.has_choices:
                shown[name] = self._instance.choices.labels(table, name).get(value, value)
            elif column.reference and value and column.reference in self._instance.dictionary:
                target = self._records.get(column.reference, value)
                shown[name] = target[self._instance.dictionary.display_column(column.reference)] if target else value
            elif column.kind == "date_time":
                shown[name] = user_format.show_date_time(value)
            else:
                shown[name] = value
        return shown | {"kind": self._instance.dictionary.tables[table].label}

    def _names(self, table: str, query: str) -> dict[str, str]:
        return {row["sys_id"]: row["name"] for row in self._records.query(table, f"{query}^ORDERBYname")}

    def _agents(self) -> dict[str, str]:
        agents = self._records.execute(
            'SELECT DISTINCT u."sys_id", u."name" FROM "sys_user" AS u '
            'JOIN "sys_user_has_role" AS h ON h."user" = u."sys_id" JOIN "sys_user_role" AS r ON r."sys_id" = h."role" '
            """WHERE r."name" = ? AND u."active" = 'true' ORDER BY u."name" """,
            (_AGENT_ROLE,),
        )
        return dict(agents)

    def _signed_in(self, request: Request) -> Caller | None:
        session = session_of(request)
        if not session.interactive:
            return None
        user = self._records.get("sys_user", session.user_sys_id)
        return self._instance.caller_of(user["sys_id"]) if user is not None and may_sign_in(user) else None

    def _sign_in_first(self, request: Request) -> Response:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(self._login_pages.sign_in_address(target), 302)


def _address(row: Row) -> str:
    return f"/{row['sys_class_name']}.do?{urlencode({'sys_id': row['sys_id']})}"


def _not_found() -> Response:
    return message_page("Record not found", "This record does not exist, or you may not see it.", 404)
