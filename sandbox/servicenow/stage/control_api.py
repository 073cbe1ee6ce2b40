"""The simulator's own API under `/control`: what tests and demonstrations do to an instance from outside.

JSON in, JSON out. Needs no authentication, is no part of ServiceNow, and neither faults nor the request log see it.
Refusals are `{"error": text}` with 400, 404 or the status ServiceNow itself would have given.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.servicenow.engine import record_events
from sandbox.servicenow.engine.accounts import find_user
from sandbox.servicenow.engine.caller import SYSTEM, Caller
from sandbox.servicenow.engine.cloning import PRESERVED, clone_over, stored_tables
from sandbox.servicenow.engine.data import domains
from sandbox.servicenow.engine.data.records import Row, new_sys_id
from sandbox.servicenow.engine.errors import ServiceNowError
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.jobs import close_resolved_incidents
from sandbox.servicenow.engine.tokens import Tokens
from sandbox.servicenow.stage.faults.fault import Fault, Faults
from sandbox.servicenow.stage.faults.kinds import KINDS, parse_fault
from sandbox.servicenow.stage.request_log import RequestLog
from sandbox.servicenow.wire.rate_limits import RateLimitRule, RateLimits
from sandbox.servicenow.wire.rest.input_values import as_raw_text
from sandbox.servicenow.wire.sessions import Sessions

type Json = dict[str, Any]
type Handler = Callable[[Request, Json], object]

_COUNTED_TABLES = ("incident", "change_request", "problem", "sc_task", "sys_user", "oauth_entity", "oauth_credential")


class ControlProblemError(Exception):
    """A request the control API cannot carry out."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Simulator:
    """An instance, everything that stands between it and its callers, and what fills it with its first records."""

    instance: Instance
    tokens: Tokens
    sessions: Sessions
    faults: Faults
    rate_limits: RateLimits
    log: RequestLog
    plant: Callable[[Instance], None]

    @classmethod
    def of(cls, instance: Instance, plant: Callable[[Instance], None]) -> "Simulator":
        """Return the parts around `instance`."""
        clock = instance.clock
        return cls(
            instance, Tokens(instance), Sessions(clock), Faults(clock), RateLimits(clock), RequestLog(clock), plant
        )


class ControlApi:
    """Handlers by topic; each takes the request and its JSON body, and returns what is answered as JSON."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._instance = simulator.instance
        self._records = simulator.instance.records

    def routes(self) -> list[Route]:
        """Return everything below `/control`."""
        handlers: Mapping[tuple[str, str], Handler] = {
            ("GET", "/health"): self._health,
            ("POST", "/reset"): self._reset,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._set_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("DELETE", "/faults/{fault_id}"): self._remove_fault,
            ("GET", "/rate-limits"): self._list_rate_limits,
            ("POST", "/rate-limits"): self._add_rate_limit,
            ("DELETE", "/rate-limits"): self._clear_rate_limits,
            ("GET", "/clock"): self._show_clock,
            ("PUT", "/clock"): self._set_clock,
            ("POST", "/clock/advance"): self._advance_clock,
            ("GET", "/properties"): self._list_properties,
            ("PATCH", "/properties"): self._set_properties,
            ("POST", "/users"): self._create_user,
            ("PATCH", "/users/{user_name}"): self._change_user,
            ("POST", "/oauth-clients"): self._create_client,
            ("PATCH", "/oauth-clients/{client_id}"): self._change_client,
            ("POST", "/oauth-clients/{client_id}/rotate-secret"): self._rotate_secret,
            ("GET", "/tokens"): self._list_tokens,
            ("DELETE", "/tokens"): self._revoke_tokens,
            ("GET", "/records/{table}"): self._query_records,
            ("POST", "/records/{table}"): self._insert_record,
            ("GET", "/records/{table}/{sys_id}"): self._show_record,
            ("PATCH", "/records/{table}/{sys_id}"): self._change_record,
            ("DELETE", "/records/{table}/{sys_id}"): self._delete_record,
            ("PUT", "/records/{table}/{sys_id}/raw"): self._overwrite_record,
            ("POST", "/records/{table}/{sys_id}/move"): self._move_record,
            ("POST", "/records/{table}/{sys_id}/archive"): self._archive_record,
            ("POST", "/records/{table}/{sys_id}/restore"): self._restore_record,
            ("POST", "/records/{table}/{sys_id}/copy"): self._copy_record,
            ("POST", "/records/{table}/{sys_id}/domain"): self._move_to_domain,
            ("POST", "/domains"): self._create_domain,
            ("POST", "/changes/{sys_id}/decision"): self._decide_change,
            ("POST", "/choices"): self._add_choice,
            ("PUT", "/column-lengths/{table}/{column}"): self._set_column_length,
            ("POST", "/bulk/insert"): self._bulk_insert,
            ("POST", "/bulk/touch"): self._bulk_touch,
            ("GET", "/stored-tables"): self._list_stored_tables,
            ("POST", "/clone"): self._clone,
            ("POST", "/jobs/auto-close"): self._auto_close,
            ("POST", "/jobs/business-rules"): self._run_waiting_business_rules,
            ("POST", "/jobs/clean-expired-tokens"): self._clean_expired_tokens,
            ("GET", "/requests"): self._list_requests,
            ("GET", "/requests/counts"): self._count_requests,
            ("DELETE", "/requests"): self._clear_requests,
        }
        return [
            Route(f"/control{path}", _endpoint(handler), methods=[method])
            for (method, path), handler in handlers.items()
        ]

    def _health(self, _: Request, __: Json) -> object:
        counts = {table: self._records.count(table) for table in _COUNTED_TABLES}
        return {"status": "ok", "now": self._instance.clock.now().isoformat(), "counts": counts}

    def _reset(self, _: Request, body: Json) -> object:
        simulator = self._simulator
        simulator.faults.clear()
        simulator.rate_limits.clear()
        simulator.sessions.end_all()
        simulator.log.clear()
        self._instance.clock.reset()
        self._instance.properties.reset()
        self._instance.access.reset()
        self._instance.dictionary.reset()
        if body.get("records"):
            self._records.clear()
            simulator.plant(self._instance)
        else:
            self._records.execute('DELETE FROM "oauth_credential"')
        return {}

    # Faults and limits

    def _list_faults(self, _: Request, __: Json) -> object:
        kinds = {name: kind.description for name, kind in KINDS.items()}
        return {"faults": [_shown(fault) for fault in self._simulator.faults], "kinds": kinds}

    def _set_fault(self, _: Request, body: Json) -> object:
        fault = parse_fault(body)
        self._simulator.faults.set(fault)
        return _shown(fault)

    def _clear_faults(self, _: Request, __: Json) -> object:
        self._simulator.faults.clear()
        return {}

    def _remove_fault(self, request: Request, _: Json) -> object:
        if not self._simulator.faults.remove(request.path_params["fault_id"]):
            raise ControlProblemError(404, "no such fault")
        return {}

    def _list_rate_limits(self, _: Request, __: Json) -> object:
        return {"rules": [asdict(rule) for rule in self._simulator.rate_limits.rules]}

    def _add_rate_limit(self, _: Request, body: Json) -> object:
        _require_known(body, {item.name for item in fields(RateLimitRule)} - {"sys_id"})
        rule = RateLimitRule(**body)
        self._simulator.rate_limits.rules.append(rule)
        return asdict(rule)

    def _clear_rate_limits(self, _: Request, __: Json) -> object:
        self._simulator.rate_limits.clear()
        return {}

    # Clock and switches

    def _show_clock(self, _: Request, __: Json) -> object:
        return {"now": self._instance.clock.now().isoformat()}

    def _set_clock(self, request: Request, body: Json) -> object:
        _require_known(body, {"now", "running"})
        clock = self._instance.clock
        at = datetime.fromisoformat(body["now"]) if "now" in body else None
        if body.get("running") is False:
            clock.stop(at)
        else:
            if at is not None:
                clock.set(at)
            if body.get("running") is True:
                clock.run()
        return self._show_clock(request, body)

    def _advance_clock(self, request: Request, body: Json) -> object:
        self._instance.clock.advance(float(body["seconds"]))
        return self._show_clock(request, body)

    def _list_properties(self, _: Request, __: Json) -> object:
        return dict(sorted(self._instance.properties.items()))

    def _set_properties(self, request: Request, body: Json) -> object:
        for name, value in body.items():
            self._instance.properties[name] = value
        return self._list_properties(request, body)

    # People and clients

    def _create_user(self, _: Request, body: Json) -> object:
        roles = body.pop("roles", [])
        user = self._instance.operations.insert("sys_user", self._columns("sys_user", body), SYSTEM)
        self._give_roles(user, roles)
        return user

    def _change_user(self, request: Request, body: Json) -> object:
        user = self._user(request.path_params["user_name"])
        roles = body.pop("roles", None)
        if roles is not None:
            self._records.execute('DELETE FROM "sys_user_has_role" WHERE "user" = ?', (user["sys_id"],))
            self._give_roles(user, roles)
        return self._instance.operations.update("sys_user", user["sys_id"], self._columns("sys_user", body), SYSTEM)

    def _give_roles(self, user: Row, roles: list[str]) -> None:
        for name in roles:
            role = self._records.first("sys_user_role", f"name={name}")
            role = role or self._records.insert("sys_user_role", {"name": name})
            self._records.insert("sys_user_has_role", {"user": user["sys_id"], "role": role["sys_id"]})

    def _user(self, user_name: str) -> Row:
        user = find_user(self._instance, user_name)
        if user is None:
            raise ControlProblemError(404, f"no user {user_name}")
        return user

    def _create_client(self, _: Request, body: Json) -> object:
        generated = {"client_id": secrets.token_hex(16), "client_secret": secrets.token_urlsafe(24)}
        return self._records.insert("oauth_entity", generated | self._columns("oauth_entity", body))

    def _change_client(self, request: Request, body: Json) -> object:
        client = self._client(request.path_params["client_id"])
        return self._records.update("oauth_entity", client["sys_id"], self._columns("oauth_entity", body))

    def _rotate_secret(self, request: Request, _: Json) -> object:
        client = self._client(request.path_params["client_id"])
        new = {"client_secret": secrets.token_urlsafe(24)}
        self._records.update("oauth_entity", client["sys_id"], new)
        return new

    def _client(self, client_id: str) -> Row:
        client = self._records.first("oauth_entity", f"client_id={client_id}")
        if client is None:
            raise ControlProblemError(404, f"no OAuth client {client_id}")
        return client

    def _list_tokens(self, _: Request, __: Json) -> object:
        return {"tokens": [self._shown_token(row) for row in self._records.query("oauth_credential")]}

    def _shown_token(self, row: Row) -> Json:
        user = self._records.get("sys_user", row["user"]) or {}
        client = self._records.get("oauth_entity", row["peer"]) or {}
        is_access = row["type"] == "access_token"
        live = self._simulator.tokens.find(row["token"], "access_token" if is_access else "refresh_token")
        return {
            **{name: row[name] for name in ("type", "token", "expires", "scope")},
            "user_name": user.get("user_name", ""),
            "client_id": client.get("client_id", ""),
            "live": live is not None,
        }

    def _revoke_tokens(self, _: Request, body: Json) -> object:
        _require_known(body, {"user_name", "type"})
        shown = [self._shown_token(row) for row in self._records.query("oauth_credential")]
        wanted = [token for token in shown if token["live"] and body.items() <= token.items()]
        for token in wanted:
            self._simulator.tokens.revoke(token["token"])
        return {"revoked": len(wanted)}

    # Records

    def _query_records(self, request: Request, _: Json) -> object:
        query, limit = request.query_params.get("query", ""), int(request.query_params.get("limit", "100"))
        return {"records": self._records.query(self._table(request), query, limit=limit)}

    def _insert_record(self, request: Request, body: Json) -> object:
        table = self._table(request)
        return self._instance.operations.insert(table, self._values(table, body), self._acting(body))

    def _show_record(self, request: Request, _: Json) -> object:
        return self._record(request)

    def _change_record(self, request: Request, body: Json) -> object:
        table, row = self._table(request), self._record(request)
        return self._instance.operations.update(table, row["sys_id"], self._values(table, body), self._acting(body))

    def _delete_record(self, request: Request, body: Json) -> object:
        self._instance.operations.delete(self._table(request), self._record(request)["sys_id"], self._acting(body))
        return {}

    def _move_record(self, request: Request, body: Json) -> object:
        _require_known(body, {"table"})
        return record_events.change_class(self._instance, self._record(request), body["table"])

    def _overwrite_record(self, request: Request, body: Json) -> object:
        table, row = self._table(request), self._record(request)
        values = self._columns(table, body.get("values", {}))
        if not values:
            raise ControlProblemError(400, "no values")
        return self._records.overwrite(table, row["sys_id"], values)

    def _archive_record(self, request: Request, _: Json) -> object:
        record_events.archive(self._instance, self._table(request), self._record(request)["sys_id"])
        return {}

    def _restore_record(self, request: Request, body: Json) -> object:
        values = self._columns(self._table(request), body.get("values", {}))
        try:
            return record_events.restore(self._instance, request.path_params["sys_id"], values)
        except record_events.NotArchivedError as error:
            raise ControlProblemError(404, f"no archived record {error}") from error

    def _copy_record(self, request: Request, body: Json) -> object:
        _require_known(body, {"as_user"})
        return record_events.copy(self._instance, self._record(request), self._acting(body))

    def _move_to_domain(self, request: Request, body: Json) -> object:
        _require_known(body, {"domain"})
        self._instance.properties[domains.SWITCH] = True
        columns = domains.columns_of(self._records, body["domain"])
        return self._records.update(self._table(request), self._record(request)["sys_id"], columns)

    def _create_domain(self, _: Request, body: Json) -> object:
        _require_known(body, {"name", "parent"})
        self._instance.properties[domains.SWITCH] = True
        return domains.create(self._records, body["name"], body.get("parent", ""))

    def _decide_change(self, request: Request, body: Json) -> object:
        _require_known(body, {"state", "comments"})
        sys_id = request.path_params["sys_id"]
        approval = next(iter(self._instance.operations.approvals.open(sys_id)), None)
        if approval is None:
            raise ControlProblemError(404, f"nobody is asked to approve {sys_id}")
        approver = self._instance.caller_of(approval["approver"])
        assert approver is not None
        self._instance.operations.update("sysapproval_approver", approval["sys_id"], body, approver)
        return self._records.get("change_request", sys_id)

    def _add_choice(self, _: Request, body: Json) -> object:
        table = body["name"]
        own = self._records.count("sys_choice", f"name={table}^element={body['element']}")
        if not own:
            # A class with a list of its own no longer sees its parent's, so the new list begins with that.
            for value, label in self._instance.choices.labels(table, body["element"]).items():
                own += 1
                inherited = {"name": table, "element": body["element"], "value": value, "label": label}
                self._records.insert("sys_choice", inherited | {"sequence": str(own)})
        return self._records.insert("sys_choice", {"sequence": str(own + 1)} | self._columns("sys_choice", body))

    def _set_column_length(self, request: Request, body: Json) -> object:
        _require_known(body, {"length"})
        table, column, length = self._table(request), request.path_params["column"], int(body["length"])
        self._instance.dictionary.set_length(table, column, length)
        query = f"name={table}^element={column}"
        if not self._records.update_many("sys_dictionary", query, {"max_length": str(length)}):
            self._records.insert("sys_dictionary", {"name": table, "element": column, "max_length": str(length)})
        return {}

    def _bulk_insert(self, _: Request, body: Json) -> object:
        _require_known(body, {"table", "count", "values", "correlation_prefix"})
        values, prefix = self._columns(body["table"], body.get("values", {})), body.get("correlation_prefix", "")

        def rows() -> Iterator[Row]:
            for number in range(int(body["count"])):
                yield {"sys_id": new_sys_id(), **values, **({"correlation_id": f"{prefix}{number}"} if prefix else {})}

        return {"count": self._records.insert_many(body["table"], rows())}

    def _bulk_touch(self, _: Request, body: Json) -> object:
        _require_known(body, {"table", "query", "values"})
        values = self._columns(body["table"], body.get("values", {}))
        return {"count": self._records.update_many(body["table"], body["query"], values)}

    def _list_stored_tables(self, _: Request, __: Json) -> object:
        return stored_tables(self._instance)

    def _clone(self, _: Request, body: Json) -> object:
        _require_known(body, {"tables", "preserved"})
        clone_over(self._instance, body["tables"], body.get("preserved", PRESERVED))
        return {}

    def _run_waiting_business_rules(self, _: Request, __: Json) -> object:
        return {"count": self._instance.operations.business_rules.run_waiting()}

    def _auto_close(self, _: Request, __: Json) -> object:
        return {"count": close_resolved_incidents(self._instance)}

    def _clean_expired_tokens(self, _: Request, __: Json) -> object:
        return {"count": self._simulator.tokens.delete_expired()}

    def _table(self, request: Request) -> str:
        table: str = request.path_params["table"]
        if table not in self._instance.dictionary:
            raise ControlProblemError(404, f"no table {table}")
        return table

    def _record(self, request: Request) -> Row:
        row = self._records.get(self._table(request), request.path_params["sys_id"])
        if row is None:
            raise ControlProblemError(404, f"no {request.path_params['table']} {request.path_params['sys_id']}")
        return row

    def _acting(self, body: Json) -> Caller:
        name = body.get("as_user", "")
        if not name:
            return SYSTEM
        caller = self._instance.caller_of(self._user(name)["sys_id"])
        assert caller is not None
        return caller

    def _values(self, table: str, body: Json) -> Row:
        _require_known(body, {"values", "as_user"})
        return self._columns(table, body.get("values", {}))

    def _columns(self, table: str, values: Json) -> Row:
        if table not in self._instance.dictionary:
            raise ControlProblemError(404, f"no table {table}")
        _require_known(values, set(self._instance.dictionary.columns(table)))
        return {name: as_raw_text(value) for name, value in values.items()}

    # What was asked

    def _list_requests(self, request: Request, _: Json) -> object:
        return {"requests": self._simulator.log.entries(request.query_params.get("path", ""))}

    def _count_requests(self, _: Request, __: Json) -> object:
        return self._simulator.log.counts()

    def _clear_requests(self, _: Request, __: Json) -> object:
        self._simulator.log.clear()
        return {}


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(handler(request, await _body_of(request)))
        except ControlProblemError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ServiceNowError as error:
            return JSONResponse({"error": f"{error.message}: {error.detail}"}, error.status)
        except KeyError as error:
            return JSONResponse({"error": f"unknown or missing: {error.args[0]}"}, 400)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


async def _body_of(request: Request) -> Json:
    body = await request.json() if await request.body() else {}
    if not isinstance(body, dict):
        raise ControlProblemError(400, "the body is a JSON object")
    return body


def _require_known(body: Json, known: set[str]) -> None:
    if unknown := body.keys() - known:
        raise ControlProblemError(400, f"unknown: {', '.join(sorted(unknown))}")


def _shown(fault: Fault) -> Json:
    return asdict(fault) | {"set_at": fault.set_at.isoformat()}
