"""System properties: every behaviour that differs between instances, or is undocumented, is a switch here.

ServiceNow's own properties keep their names (`glide.…`, `com.…`). Names beginning with `simulator.` choose between
answers that ServiceNow's reference (`docs/reference`) marks CONFLICT or NOT FOUND, at the section given.
"""

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Literal

PropertyKind = Literal["boolean", "integer", "string"]


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """A switch: its name, kind, default (as text, as in `sys_properties.value`), effect and allowed values."""

    name: str
    kind: PropertyKind
    default: str
    description: str
    choices: tuple[str, ...] = ()


def _flag(name: str, default: bool, description: str) -> PropertyDefinition:
    return PropertyDefinition(name, "boolean", "true" if default else "false", description)


def _number(name: str, default: int, description: str) -> PropertyDefinition:
    return PropertyDefinition(name, "integer", str(default), description)


def _text(name: str, default: str, description: str, *choices: str) -> PropertyDefinition:
    return PropertyDefinition(name, "string", default, description, choices)


DEFINITIONS: tuple[PropertyDefinition, ...] = (
    # Time and place
    _text("glide.sys.default.tz", "America/Los_Angeles", "Time zone of users who have not set one."),
    _text("glide.sys.date_format", "yyyy-MM-dd", "Date format of users who have not set one."),
    _text("glide.sys.time_format", "HH:mm:ss", "Time format of users who have not set one."),
    # OAuth provider (ServiceNow §1)
    _flag("com.snc.platform.security.oauth.is.active", True, "OAuth is on (§1.1)."),
    _flag("glide.oauth.state.parameter.required", True, "An authorization request needs `state` (§1.2)."),
    _flag("glide.oauth.allow.parameters.in.post.body.only", True, "Token requests ignore the query string (§1.4)."),
    _flag("glide.oauth.inbound.ropc.grant_type.disabled", False, "The password grant is refused (§1.4)."),
    _flag(
        "glide.oauth.inbound.client.credential.grant_type.enabled",
        False,
        "The client-credentials grant is served to clients with an OAuth application user (§1.4).",
    ),
    _flag(
        "glide.authenticate.oauth.post.token.expiration.cookie_auth.disabled",
        True,
        "Session cookies of a bearer call die with the token (§1.7).",
    ),
    _text(
        "simulator.oauth.redirect_uri_mismatch",
        "error_page",
        "CONFLICT §1.2: an unregistered redirect URI gives an error page, or the first registered URI is used.",
        "error_page",
        "first_registered",
    ),
    _text(
        "simulator.oauth.deny",
        "redirect",
        "NOT FOUND §1.3: Deny redirects with error=access_denied, or the user stays on the instance.",
        "redirect",
        "stay",
    ),
    _text(
        "simulator.oauth.refresh_token_on_refresh",
        "same",
        "NOT FOUND §1.5: a refresh answers the same refresh token, none, or a new one (the old one dies).",
        "same",
        "omitted",
        "rotated",
    ),
    _text(
        "simulator.oauth.scope",
        "useraccount",
        "1.5: the scope named in token answers; some instances answer an empty one.",
    ),
    _number("simulator.oauth.expires_in_shortfall", 1, "1.5: a new token says 1799 or 1800; seconds already gone."),
    # Signing in, tokens and sessions (ServiceNow §1, §2.7)
    _flag(
        "simulator.acl.oauth_credential_for_users",
        True,
        "1.3: users may read and write oauth_credential; on hardened instances only administrators get tokens.",
    ),
    _flag(
        "simulator.explicit_roles.active",
        False,
        "1.3, 6: the explicit roles plug-in is active: only users with the role snc_internal get tokens.",
    ),
    _flag("simulator.oauth.public_client_may_refresh", True, "1.4: refused to public clients until Zurich patch 4."),
    _flag(
        "simulator.oauth.client_credentials_refresh_token",
        False,
        "§1.4: the client-credentials answer carries a refresh token, unlike the documented one.",
    ),
    _text(
        "simulator.oauth.client_credentials_profile",
        "complete",
        "§1.4: without an OAuth entity profile for client credentials, or without its entity scope, the grant is "
        "refused (reported once).",
        "complete",
        "profile_missing",
        "scope_missing",
    ),
    _text(
        "simulator.oauth.client_credentials_refusal",
        "generic",
        "NOT FOUND §1.4: the body of a refusal. Observed is the generic one; the documents only say that the request "
        "is not passed, which RFC 6749 has a code for.",
        "generic",
        "rfc_6749",
    ),
    _flag(
        "simulator.oauth.shared_token_extended",
        True,
        "§1.5: issuing a live access token again pushes its expiry forward; only one article says so.",
    ),
    _flag(
        "simulator.mfa.enforced",
        False,
        "1.9: policy *Enforce MFA for non-SSO logins*, which is on from Yokohama on: a local password needs a second "
        "factor.",
    ),
    _number(
        "glide.authenticate.multifactor.self_enrolment_period",
        30,
        "1.9: days after a user's first login in which the set-up may be postponed; 0 is not at all.",
    ),
    _number("glide.authenticate.multifactor.setup.bypass.count", 3, "1.9: how often the set-up may be postponed."),
    _flag("glide.authenticate.multifactor.remember.browser.enable", True, "1.9: a browser may be remembered."),
    _number("glide.authenticate.multifactor.browser.fingerprint.validity", 8, "1.9: hours that it is remembered."),
    _text(
        "simulator.single_sign_on.user",
        "",
        "1.2: single sign-on is on, and the identity provider signs this user in; empty: off.",
    ),
    _number(
        "simulator.session.api_call_ms",
        20,
        "2.7: the shortest time that an API call with a session cookie occupies its session.",
    ),
    _flag(
        "simulator.domain_separation.active",
        False,
        "ServiceNow §15: users see only records of domains that they may access.",
    ),
    _text(
        "simulator.domain_separation.global_user_sees",
        "global",
        "NOT FOUND §15: a user of domain `global` sees global records only, or those of every domain.",
        "global",
        "everything",
    ),
    # Table API (ServiceNow §2)
    _flag("glide.invalid_query.returns_no_rows", False, "A query with an invalid part returns nothing (§2.3)."),
    _flag(
        "glide.rest.table_api.admin_only_sys_fields",
        False,
        "A `sys_id` supplied on POST is honoured for administrators only (§2.5).",
    ),
    _number("glide.rest.max_content_length", 10, "Largest request body in MiB (3)."),
    # Closing and reopening (ServiceNow §5.3, §16)
    _number(
        "glide.ui.autoclose.time", 1, "§16: days after which a resolved incident closes automatically; 0 is never."
    ),
    _flag(
        "com.snc.incident.autoclose.basedon.resolved_at",
        True,
        "§16: those days count from `resolved_at`; else from `sys_updated_on`, so that an update delays the closing.",
    ),
    _flag("simulator.autoclose.business_days", False, "§16: Saturdays and Sundays do not count (Brazil release)."),
    _text("simulator.autoclose.runs_as", "system", "§16: the user whose name the job leaves in `sys_updated_by`."),
    _text(
        "simulator.closed_at",
        "stamped",
        "NOT FOUND §16: closing fills in `closed_at` and `closed_by`, or leaves them as the caller sent them.",
        "stamped",
        "empty",
    ),
    *(
        _text(
            f"simulator.closed_write.{table}",
            "allowed",
            "CONFLICT §16: what a write to a closed or canceled record does if the caller is no administrator: it is "
            "carried out, refused by a record-level access rule (403), refused by a data policy (403), or answered "
            "with 200 although field-level access rules ignore every value, journals too.",
            "allowed",
            "forbidden",
            "read_only",
            "ignored",
        )
        for table in ("incident", "change_request", "problem", "sc_task")
    ),
    _text(
        "simulator.incident.reopening_closed",
        "forbidden",
        "CONFLICT §16: moving a closed or canceled incident to an open state is refused (403), ignored (200, the other "
        "values are stored), or allowed. Administrators always may.",
        "forbidden",
        "ignored",
        "allowed",
    ),
    _text(
        "simulator.incident.reopening_clears",
        "resolved",
        "NOT FOUND §16: reopening clears `resolved_at` and `resolved_by`, those and the close code and notes, or "
        "nothing.",
        "resolved",
        "resolution",
        "nothing",
    ),
    _flag("simulator.incident.parent_sync", True, "§16: resolving or closing a parent does the same to its children."),
    _text(
        "simulator.change.leaving_closed",
        "aborted",
        "NOT FOUND §16: moving a closed or canceled change to another state is aborted (403), or ignored (200).",
        "aborted",
        "ignored",
    ),
    _flag(
        "simulator.change.nextstates_details",
        True,
        "§11.6: `nextstates` describes each transition; it does not for models that follow the type.",
    ),
    # Fields that the caller may not use (ServiceNow §2.5, §2.6, §14, §16)
    _text(
        "simulator.acl.fields_not_updatable",
        "",
        "§16: columns of tickets, separated by commas, that field-level access rules protect from updates: 200, and "
        "the value, also a comment or work note, is silently ignored. Inserts may set them.",
    ),
    _text(
        "simulator.acl.fields_not_readable",
        "",
        "§2.6: columns of tickets, separated by commas, that field-level access rules hide.",
    ),
    _text(
        "simulator.data_policy.read_only_fields",
        "",
        "§16: columns of tickets, separated by commas, whose change by an update a data policy refuses (403, text "
        "NOT FOUND).",
    ),
    _flag(
        "simulator.acl.sys_journal_field_for_admin_only",
        False,
        "§14: ordinary users get 200 without rows from sys_journal_field, whatever they may read in the record.",
    ),
    _flag("simulator.rest_endpoint_acl.active", False, "REST calls need role snc_platform_rest_api_access (§2.6)."),
    _number("simulator.path.maximum_length", 8192, "2.9: a longer path gets an HTML error page."),
    _number("simulator.query_string.maximum_length", 0, "2.2: a longer query string gets 414 in HTML; 0 is no limit."),
    _text(
        "simulator.unknown_path_status",
        "400",
        "CONFLICT §2.8: the status for an unknown API path.",
        "400",
        "404",
    ),
    _text(
        "simulator.authentication_message",
        "User Not Authenticated",
        "2.8: message of a 401; newer instances word it differently.",
        "User Not Authenticated",
        "User is not authenticated",
    ),
    _text(
        "simulator.unknown_query_field",
        "ignored",
        "CONFLICT §2.3: a query condition on a column that does not exist is dropped, or answers 403.",
        "ignored",
        "forbidden",
    ),
    _text(
        "simulator.unreadable_field",
        "omitted",
        "CONFLICT §2.6: a field the caller may not read is left out, or reads back empty.",
        "omitted",
        "empty",
    ),
    _text(
        "simulator.unreadable_table",
        "forbidden",
        "CONFLICT §2.8, §13: a table the caller may not read answers 403, or no rows and a true X-Total-Count.",
        "forbidden",
        "empty",
    ),
    _flag(
        "simulator.metadata_apis",
        True,
        "§13: the instance serves `ui/meta` and `doc/table/schema`; old instances answer 404.",
    ),
    _flag(
        "simulator.ui_meta.shows_ui_policies",
        True,
        "NOT FOUND §13: `ui/meta` calls a column mandatory that a UI policy without conditions makes so, not only one "
        "that the dictionary does.",
    ),
    _flag("simulator.acl.sys_choice_for_admin_only", False, "5.3: sys_choice is refused to ordinary users."),
    _flag("simulator.acl.sys_user_has_role_for_admin_only", True, "6: role memberships are refused to ordinary users."),
    _text(
        "simulator.query.text_comparison",
        "case_insensitive",
        "CONFLICT §2.3: comparing and sorting text ignores case, or distinguishes it, as the documents say.",
        "case_insensitive",
        "case_sensitive",
    ),
    _text(
        "simulator.default_order",
        "shuffled",
        "NOT FOUND §2.7: order of an unordered list; shuffled differs from request to request.",
        "shuffled",
        "sys_id",
    ),
    _number("simulator.default_order.seed", 1, "The seed of the shuffling, so that a run can be repeated."),
    _text(
        "simulator.pagination.links",
        "negative_prev",
        "CONFLICT §2.7: Link always has prev (negative on page one) and next, or only those that exist.",
        "negative_prev",
        "applicable_only",
    ),
    _flag("simulator.total_count.respects_acl", False, "NOT FOUND §2.7: X-Total-Count leaves unreadable rows out."),
    _text(
        "simulator.task_choice_labels",
        "class",
        "NOT FOUND: a state read through `task` shows the label of the record's own class, or that of `task`.",
        "class",
        "task",
    ),
    _text(
        "simulator.overlong_text",
        "truncated",
        "NOT FOUND §2.5: text beyond the dictionary length is cut silently, or kept whole.",
        "truncated",
        "kept",
    ),
    _text(
        "simulator.text_beyond_bmp",
        "kept",
        "NOT FOUND §2.5: a database of three-byte UTF-8 ends a text at the first emoji, or stores `?` for each.",
        "kept",
        "cut",
        "replaced",
    ),
    _text(
        "simulator.duplicate_sys_id",
        "refused",
        "NOT FOUND §2.5: a POST with a sys_id in use answers 403, or is stored under a new sys_id.",
        "refused",
        "replaced",
    ),
    _text(
        "simulator.supplied_sys_id",
        "honoured",
        "2.5: a sys_id supplied on POST is kept, or replaced by a generated one.",
        "honoured",
        "replaced",
    ),
    _text(
        "simulator.duplicate_number",
        "renewed",
        "5.2: a number that another ticket has is replaced by the next free one, refused, or allowed. By ServiceNow's "
        "page on unique numbering a new instance allows it; the page describes how customers renew or refuse it.",
        "renewed",
        "refused",
        "allowed",
    ),
    _flag(
        "simulator.reference.resolves_names",
        False,
        "CONFLICT §2.5: a reference may be written by display name without sysparm_input_display_value.",
    ),
    _flag("simulator.update.unchanged_counts", False, "NOT FOUND: a PATCH that changes nothing raises sys_mod_count."),
    _text(
        "simulator.incident.close_codes",
        "current",
        "CONFLICT §5.4: incident resolution codes of a newer or of an older instance.",
        "current",
        "legacy",
    ),
    _text("simulator.sc_task.skipped_state", "7", "CONFLICT §5.3: number of sc_task state Closed Skipped.", "7", "5"),
    _flag("simulator.data_policy.incident_close", True, "5.4: closing needs close_code and close_notes."),
    _flag("simulator.data_policy.change_request", True, "5.6: assignment group from Assess, closing details at close."),
    _flag("simulator.data_policy.on_hold", True, "5.3: waiting for the caller needs a comment in the same call."),
    _flag(
        "simulator.change.approvals",
        True,
        "INFERRED §11.6: a change leaves Assess and Authorize by approval; no write bypasses an open one.",
    ),
    _flag("simulator.change_model.active", True, "5.6: a change moves only along its model's transitions."),
    _flag("simulator.incident.close_needs_itil_admin", False, "5.3: closing an incident needs itil_admin or admin."),
    _flag("simulator.priority_lookup.active", True, "5.5: impact and urgency decide an incident's priority."),
    _number(
        "simulator.batch.serviced_at_most",
        0,
        "4: number of items that a batch answers before its time is up; 0 is no limit.",
    ),
    _number("simulator.batch.maximum_s", 30, "4: seconds after which a batch leaves the rest unserviced."),
    _number("simulator.batch.maximum_item_mib", 5, "4: largest request item of a batch in MiB."),
)


class UnknownPropertyError(KeyError):
    """There is no switch with that name."""


class Properties(MutableMapping[str, str]):
    """The instance's switches by name. Values are text as in `sys_properties`; read them with `flag` and `number`.

    Assigning a value that the switch does not allow raises ValueError. Deleting returns the switch to its default.
    Names without a definition may be assigned freely (an instance has thousands).
    """

    def __init__(self, definitions: tuple[PropertyDefinition, ...] = DEFINITIONS) -> None:
        self.definitions = {definition.name: definition for definition in definitions}
        self._values: dict[str, str] = {}
        self._listeners: list[Callable[[str, str], None]] = []

    def __getitem__(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        if name in self.definitions:
            return self.definitions[name].default
        raise UnknownPropertyError(name)

    def __setitem__(self, name: str, value: str | bool | int) -> None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        definition = self.definitions.get(name)
        if definition is not None:
            _validate(definition, text)
        elif name.startswith("simulator."):
            raise UnknownPropertyError(name)
        self._values[name] = text
        for listener in self._listeners:
            listener(name, text)

    def __delitem__(self, name: str) -> None:
        self._values.pop(name, None)
        for listener in self._listeners:
            listener(name, self[name] if name in self.definitions else "")

    def __iter__(self) -> Iterator[str]:
        return iter(self.definitions.keys() | self._values.keys())

    def __len__(self) -> int:
        return len(self.definitions.keys() | self._values.keys())

    def flag(self, name: str) -> bool:
        """Return a boolean switch."""
        return self[name] == "true"

    def number(self, name: str) -> int:
        """Return an integer switch."""
        return int(self[name])

    def names(self, name: str) -> frozenset[str]:
        """Return the names that a switch lists, separated by commas."""
        return frozenset(self[name].replace(" ", "").split(",")) - {""}

    def when_changed(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(name, value)` after each change."""
        self._listeners.append(listener)

    def reset(self) -> None:
        """Return every switch to its default."""
        for name in list(self._values):
            del self[name]


def _validate(definition: PropertyDefinition, text: str) -> None:
    if definition.kind == "boolean" and text not in ("true", "false"):
        raise ValueError(f"{definition.name} is true or false, not {text!r}")
    if definition.kind == "integer" and not text.lstrip("-").isdecimal():
        raise ValueError(f"{definition.name} is a whole number, not {text!r}")
    if definition.choices and text not in definition.choices:
        raise ValueError(f"{definition.name} is one of {', '.join(definition.choices)}, not {text!r}")
