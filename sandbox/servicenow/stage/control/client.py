"""A synchronous client for the control API of a simulator: for tests, demonstrations and the walk-through."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self

import httpx

from sandbox.trust import usual_trust

_TIMEOUT_S = 60.0


class ControlError(Exception):
    """The control API refused a request; the text says why."""


class ControlClient:
    """Talks to `/control` of one simulator.

    Args:
        base_url: Address of the instance.
        transport: A way to reach it without a socket.
    """

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._client = httpx.Client(
            base_url=f"{self.base_url}/control",
            timeout=_TIMEOUT_S,
            trust_env=False,
            transport=transport,
            verify=usual_trust(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def health(self) -> dict[str, Any]:
        """Return the instance's time and the number of rows in its main tables."""
        return self._ask("GET", "/health")

    def reset(self, *, records: bool = False) -> None:
        """Reset faults, rate rules, sessions, requests, tokens and switches, and set the clock to real time.

        With `records`, also replace everything stored with the instance's first records.
        """
        self._ask("POST", "/reset", {"records": records})

    # Faults and limits

    def set_fault(self, kind: str, **options: Any) -> str:
        """Set a fault (see :class:`sandbox.servicenow.stage.faults.fault.Fault` for its options) and return its id."""
        fault_id = self._ask("POST", "/faults", {"kind": kind, **options})["id"]
        assert isinstance(fault_id, str)
        return fault_id

    def faults(self) -> list[dict[str, Any]]:
        """Return the set faults, with the number of requests that each has `taken`."""
        return list(self._ask("GET", "/faults")["faults"])

    def remove_fault(self, fault_id: str) -> None:
        """Remove a fault."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("DELETE", "/faults")

    def add_rate_limit(self, limit_per_hour: int, **options: Any) -> str:
        """Add a :class:`sandbox.servicenow.wire.rate_limits.RateLimitRule` and return its sys_id."""
        sys_id = self._ask("POST", "/rate-limits", {"limit_per_hour": limit_per_hour, **options})["sys_id"]
        assert isinstance(sys_id, str)
        return sys_id

    def clear_rate_limits(self) -> None:
        """Remove every rate-limit rule."""
        self._ask("DELETE", "/rate-limits")

    # Clock and switches

    def now(self) -> datetime:
        """Return the instance's time (aware UTC)."""
        return datetime.fromisoformat(self._ask("GET", "/clock")["now"])

    def set_clock(self, at: datetime) -> None:
        """Set the instance's clock to an aware datetime."""
        self._ask("PUT", "/clock", {"now": at.isoformat()})

    def stop_clock(self, at: datetime | None = None) -> None:
        """Stop the clock, at `at` or at the present."""
        self._ask("PUT", "/clock", {"running": False} | ({"now": at.isoformat()} if at else {}))

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward or, if negative, back."""
        self._ask("POST", "/clock/advance", {"seconds": seconds})

    def properties(self) -> dict[str, str]:
        """Return every switch and its value."""
        return dict(self._ask("GET", "/properties"))

    def set_properties(self, values: Mapping[str, str | bool | int]) -> None:
        """Turn switches (see :mod:`sandbox.servicenow.engine.properties`)."""
        self._ask("PATCH", "/properties", dict(values))

    # People and clients

    def create_user(self, user_name: str, *, roles: Sequence[str] = (), **columns: str | bool) -> dict[str, str]:
        """Create a user; `columns` are those of `sys_user`, including `user_password`. Returns the row."""
        return dict(self._ask("POST", "/users", {"user_name": user_name, "roles": list(roles), **columns}))

    def change_user(
        self, user_name: str, *, roles: Sequence[str] | None = None, **columns: str | bool
    ) -> dict[str, str]:
        """Change columns of a user and, if given, replace all roles. Returns the row."""
        changes: dict[str, Any] = dict(columns) | ({} if roles is None else {"roles": list(roles)})
        return dict(self._ask("PATCH", f"/users/{user_name}", changes))

    def enrol_second_factor(self, user_name: str) -> str:
        """Set up a second factor for a user; return its secret, which an authenticator app keeps (base32)."""
        return str(self._ask("POST", f"/users/{user_name}/second-factor")["secret"])

    def create_oauth_client(self, name: str, redirect_uri: str, **columns: str | bool) -> dict[str, str]:
        """Register an OAuth client; returns the row with `client_id` and `client_secret`."""
        return dict(self._ask("POST", "/oauth-clients", {"name": name, "redirect_url": redirect_uri, **columns}))

    def change_oauth_client(self, client_id: str, **columns: str | bool) -> dict[str, str]:
        """Change columns of an OAuth client, such as `active` and lifespans. Returns the row."""
        return dict(self._ask("PATCH", f"/oauth-clients/{client_id}", columns))

    def rotate_client_secret(self, client_id: str) -> str:
        """Give an OAuth client a new secret and return it."""
        return str(self._ask("POST", f"/oauth-clients/{client_id}/rotate-secret")["client_secret"])

    def tokens(self) -> list[dict[str, Any]]:
        """Return every token: `type`, `token`, `user_name`, `client_id`, `expires`, `live`."""
        return list(self._ask("GET", "/tokens")["tokens"])

    def revoke_tokens(self, *, user_name: str = "", token_type: str = "") -> int:
        """Revoke all tokens, or those of a user or type, as an administrator does; return their number."""
        wanted = {"user_name": user_name, "type": token_type}
        return int(self._ask("DELETE", "/tokens", {name: value for name, value in wanted.items() if value})["revoked"])

    # What agents do to tickets

    def ticket(self, number: str) -> dict[str, str]:
        """Return the raw row of the ticket with that number. Raises ControlError if there is none."""
        return dict(self._ask("GET", f"/tickets/{number}"))

    def resolve(self, number: str, *, code: str = "", notes: str = "", as_user: str = "") -> dict[str, str]:
        """Resolve an incident or a problem, as `as_user` or the system. Returns the raw row.

        Without `code` and `notes` the ticket keeps those it has, or gets those of work that is done.
        """
        return self._take_step(number, "resolve", code=code, notes=notes, as_user=as_user)

    def close_ticket(self, number: str, *, code: str = "", notes: str = "", as_user: str = "") -> dict[str, str]:
        """Close a ticket; a change first moves through its model, with everybody's approval. Returns the raw row.

        `code` and `notes` as in :meth:`resolve`.
        """
        return self._take_step(number, "close", code=code, notes=notes, as_user=as_user)

    def cancel(self, number: str, *, as_user: str = "") -> dict[str, str]:
        """Cancel an incident, a change or a catalog task. Returns the raw row."""
        return self._take_step(number, "cancel", as_user=as_user)

    def reopen(self, number: str, *, as_user: str = "") -> dict[str, str]:
        """Take up an incident, a problem or a catalog task again. Returns the raw row."""
        return self._take_step(number, "reopen", as_user=as_user)

    def comment(
        self,
        number: str,
        text: str,
        *,
        column: Literal["comments", "work_notes"] = "comments",
        as_user: str = "",
    ) -> dict[str, str]:
        """Add a comment or a work note to a ticket. Returns the raw row."""
        return dict(
            self._ask("POST", f"/tickets/{number}/comment", {"text": text, "column": column, "as_user": as_user})
        )

    def journal(self, number: str) -> list[dict[str, str]]:
        """Return the comments and work notes of a ticket, oldest first: raw rows of `sys_journal_field`."""
        return list(self._ask("GET", f"/tickets/{number}/journal")["entries"])

    def _take_step(self, number: str, step: str, **options: str) -> dict[str, str]:
        return dict(self._ask("POST", f"/tickets/{number}/{step}", options))

    # Records

    def insert_record(self, table: str, values: Mapping[str, str], *, as_user: str = "") -> dict[str, str]:
        """Create a record by the rules of the Table API, as `as_user` or the system. Returns the raw row."""
        return dict(self._ask("POST", f"/records/{table}", {"values": dict(values), "as_user": as_user}))

    def record(self, table: str, sys_id: str) -> dict[str, str]:
        """Return a raw row. Raises ControlError if it does not exist."""
        return dict(self._ask("GET", f"/records/{table}/{sys_id}"))

    def records(self, table: str, query: str = "", *, limit: int = 100) -> list[dict[str, str]]:
        """Return raw rows that match an encoded query."""
        answer = self._ask("GET", f"/records/{table}", parameters={"query": query, "limit": str(limit)})
        return list(answer["records"])

    def change_record(self, table: str, sys_id: str, values: Mapping[str, str], *, as_user: str = "") -> dict[str, str]:
        """Change a record (state, assignment, `comments`, …) by the rules of the Table API. Returns the raw row."""
        return dict(self._ask("PATCH", f"/records/{table}/{sys_id}", {"values": dict(values), "as_user": as_user}))

    def delete_record(self, table: str, sys_id: str, *, as_user: str = "") -> None:
        """Delete a record."""
        self._ask("DELETE", f"/records/{table}/{sys_id}", {"as_user": as_user})

    def move_record(self, table: str, sys_id: str, to_table: str) -> dict[str, str]:
        """Move a ticket to another class, as *Change class* does: same sys_id and number. Returns the raw row."""
        return dict(self._ask("POST", f"/records/{table}/{sys_id}/move", {"table": to_table}))

    def decide_change(
        self, sys_id: str, decision: Literal["approved", "rejected"], *, comments: str = ""
    ) -> dict[str, str]:
        """Approve or reject a change as the first of its approvers. Returns the raw row after it has moved."""
        body = {"state": decision, "comments": comments}
        return dict(self._ask("POST", f"/changes/{sys_id}/decision", body))

    def overwrite_record(self, table: str, sys_id: str, values: Mapping[str, str]) -> dict[str, str]:
        """Store any text in any column, without rules, lengths and stamps. Returns the raw row."""
        return dict(self._ask("PUT", f"/records/{table}/{sys_id}/raw", {"values": dict(values)}))

    def archive_record(self, table: str, sys_id: str) -> None:
        """Archive a record: for the APIs it is gone."""
        self._ask("POST", f"/records/{table}/{sys_id}/archive")

    def restore_record(self, table: str, sys_id: str, values: Mapping[str, str] | None = None) -> dict[str, str]:
        """Restore an archived record as it was, except for `values` (an update count, a time). Returns the raw row."""
        return dict(self._ask("POST", f"/records/{table}/{sys_id}/restore", {"values": dict(values or {})}))

    def copy_record(self, table: str, sys_id: str, *, as_user: str = "") -> dict[str, str]:
        """Copy a ticket as *Copy change* does, with its `correlation_id`. Returns the raw row of the copy."""
        return dict(self._ask("POST", f"/records/{table}/{sys_id}/copy", {"as_user": as_user}))

    def clone_over(self, target: "ControlClient", *, preserved: Sequence[str] | None = None) -> None:
        """Clone this instance over `target`, which keeps the base tables `preserved` (by default clients and settings).

        The target also gets the people of this instance.
        """
        body: dict[str, Any] = {"tables": self._ask("GET", "/stored-tables")}
        target._ask("POST", "/clone", body | ({} if preserved is None else {"preserved": list(preserved)}))

    def add_business_rule(
        self,
        table: str,
        values: Mapping[str, str],
        *,
        when: Literal["before", "after", "async"] = "before",
        on: Sequence[Literal["insert", "update"]] = ("insert",),
        condition: str = "",
    ) -> dict[str, str]:
        """Add a business rule that sets `values` (none with `^`) on each written record of `table`.

        A *before* rule is part of the write, an *after* rule is a separate update, and an *async* rule waits for
        :meth:`run_async_business_rules`. Returns the row of the rule; delete it to end the rule.
        """
        rule = {
            "name": "Set values",
            "collection": table,
            "when": when,
            "filter_condition": condition,
            "template": "".join(f"{name}={value}^" for name, value in values.items()) + "EQ",
            **{f"action_{operation}": str(operation in on).lower() for operation in ("insert", "update")},
        }
        return self.insert_record("sys_script", rule)

    def run_async_business_rules(self) -> int:
        """Run the pending asynchronous business rules; return the number of changed records."""
        return int(self._ask("POST", "/jobs/business-rules")["count"])

    def create_domain(self, name: str, parent: str = "") -> str:
        """Create a domain below another (by `sys_id`), turn on domain separation, and return the new `sys_id`."""
        return str(self._ask("POST", "/domains", {"name": name, "parent": parent})["sys_id"])

    def move_to_domain(self, table: str, sys_id: str, domain: str) -> dict[str, str]:
        """Move a ticket or a user to a domain (a `sys_id` or `global`); this is an update. Returns the raw row."""
        return dict(self._ask("POST", f"/records/{table}/{sys_id}/domain", {"domain": domain}))

    def hide_record(self, table: str, sys_id: str) -> None:
        """Move a ticket to a domain that only administrators see."""
        self.move_to_domain(table, sys_id, "other")

    def add_choice(self, table: str, element: str, value: str, label: str) -> None:
        """Add a value to a choice list, such as a custom state."""
        self._ask("POST", "/choices", {"name": table, "element": element, "value": value, "label": label})

    def set_column_length(self, table: str, column: str, length: int) -> None:
        """Change the length of a column in the dictionary, as customers do; stored values stay whole."""
        self._ask("PUT", f"/column-lengths/{table}/{column}", {"length": length})

    def define_column(self, table: str, column: str, **entry: str | bool | int) -> dict[str, str]:
        """Add a column to a table, or change it, as customers do; `entry` are columns of `sys_dictionary`.

        Names of new columns begin with `u_`. Returns the row of `sys_dictionary`.
        """
        return dict(self._ask("PUT", f"/columns/{table}/{column}", entry))

    def translate_label(self, table: str, column: str, language: str, label: str) -> None:
        """Give a column a label in another language; users see it by their `preferred_language`."""
        row = {"name": table, "element": column, "language": language, "label": label}
        self.insert_record("sys_documentation", row)

    def add_data_policy(
        self,
        table: str,
        *,
        mandatory: Sequence[str] = (),
        read_only: Sequence[str] = (),
        conditions: str = "",
        **policy: str | bool,
    ) -> dict[str, str]:
        """Add a data policy, which every write has to obey; `policy` are further columns of `sys_data_policy2`.

        Returns the row; delete it to end the policy.
        """
        rules = _policy_rules(mandatory, read_only)
        body = {"policy": {"conditions": conditions, **policy}, "rules": rules}
        return dict(self._ask("POST", f"/policies/data/{table}", body))

    def add_ui_policy(
        self, table: str, *, mandatory: Sequence[str] = (), read_only: Sequence[str] = (), **policy: str | bool
    ) -> dict[str, str]:
        """Add a UI policy, which only forms obey; `policy` are further columns of `sys_ui_policy`. Returns the row."""
        body = {"policy": policy, "rules": _policy_rules(mandatory, read_only)}
        return dict(self._ask("POST", f"/policies/ui/{table}", body))

    def bulk_insert(
        self, table: str, count: int, values: Mapping[str, str] | None = None, *, correlation_prefix: str = ""
    ) -> int:
        """Insert many records without rules; with a prefix, `correlation_id` is the prefix and a running number."""
        body = {"table": table, "count": count, "values": dict(values or {}), "correlation_prefix": correlation_prefix}
        return int(self._ask("POST", "/bulk/insert", body)["count"])

    def bulk_touch(self, table: str, query: str, values: Mapping[str, str] | None = None) -> int:
        """Change all matching records without rules, all in the same second; return their number."""
        return int(
            self._ask("POST", "/bulk/touch", {"table": table, "query": query, "values": dict(values or {})})["count"]
        )

    def run_auto_close(self) -> int:
        """Run the job that closes incidents resolved long ago; return the number of closed ones."""
        return int(self._ask("POST", "/jobs/auto-close")["count"])

    # The request log

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Return the logged requests whose path matches a regular expression (see `LoggedRequest`)."""
        return list(self._ask("GET", "/requests", parameters={"path": path})["requests"])

    def request_counts(self) -> dict[str, int]:
        """Return counts such as `{"GET /api/now/table/task": 3}`."""
        return dict(self._ask("GET", "/requests/counts"))

    def clear_requests(self) -> None:
        """Forget the requests."""
        self._ask("DELETE", "/requests")

    def _ask(
        self, method: str, path: str, body: object = None, *, parameters: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        response = self._client.request(method, path, json=body, params=parameters)
        answer: dict[str, Any] = response.json()
        if response.is_error:
            raise ControlError(f"{method} {path}: {answer['error']}")
        return answer


def _policy_rules(mandatory: Sequence[str], read_only: Sequence[str]) -> list[dict[str, str]]:
    return [
        *({"field": field, "mandatory": "true"} for field in mandatory),
        *({"field": field, "disabled": "true"} for field in read_only),
    ]
