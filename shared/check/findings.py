"""What a connection check can find: every check, and every reason with its outcome.

A finding has only names and figures. Its words are in the translations, under ``check.<topic>.<reason>.…``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from shared.connections.model import TicketKind
from shared.errors import ConnectorError, Failure
from shared.value_object import value_object

EXEMPTED_GROUP: Final = "MFA Exempted User Group"
"""Its members need no second factor (ServiceNow §1.9)."""


class CheckName(StrEnum):
    """The checks, in the order in which they are shown."""

    REACHABLE = "reachable"
    IP_FILTERING = "ip_filtering"
    TOKEN_ENDPOINT = "token_endpoint"  # noqa: S105 - a name
    OAUTH_CLIENT = "oauth_client"
    APPLICATION_REGISTRY = "application_registry"
    CONSENT = "consent"
    SINGLE_SIGN_ON = "single_sign_on"
    MULTIFACTOR = "multifactor"
    SIGNED_IN_USER = "signed_in_user"
    USER_ACCOUNT = "user_account"
    USER_ROLES = "user_roles"
    REST_ACCESS = "rest_access"
    QUERY_TASK = "query_task"
    READ_INCIDENT = "read_incident"
    READ_CHANGE = "read_change"
    CREATE_INCIDENT = "create_incident"
    CREATE_CHANGE = "create_change"
    FIELDS_INCIDENT = "fields_incident"
    FIELDS_CHANGE = "fields_change"
    OWN_TICKETS = "own_tickets"
    CHOICE_LABELS = "choice_labels"
    CLIENT_SYS_ID = "client_sys_id"
    TEXTS_KEPT = "texts_kept"
    CLOCK = "clock"
    RATE_LIMITS = "rate_limits"
    RELEASE = "release"
    TICKETS_ARRIVE = "tickets_arrive"

    @property
    def kind(self) -> TicketKind | None:
        """The kind of ticket that the check is about, or None."""
        return next((kind for kind in TicketKind if self.endswith(f"_{kind}")), None)

    @property
    def topic(self) -> str:
        """The name without the kind: ``read`` for ``read_incident``."""
        return self.value if self.kind is None else self.removesuffix(f"_{self.kind}")

    @classmethod
    def about(cls, topic: str, kind: TicketKind) -> CheckName:
        """Return the check for a topic and a kind."""
        return cls(f"{topic}_{kind}")


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be found out."""


_PASSED, _FAILED, _UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN

ANY_CHECK: Final[Mapping[str, Outcome]] = {
    "not_checked": _UNKNOWN,
    "not_authorized": _UNKNOWN,
    "no_answer": _UNKNOWN,
    "too_slow": _UNKNOWN,
    "unexpected": _UNKNOWN,
}
"""Reasons that every check can have: something that it needs was missing, or there was no usable answer."""

REASONS: Final[Mapping[str, Mapping[str, Outcome]]] = {
    "reachable": {
        "passed": _PASSED,
        "host_unknown": _FAILED,
        "certificate_refused": _FAILED,
        "no_connection": _FAILED,
        "timeout": _FAILED,
        "hibernating": _FAILED,
        "server_error": _FAILED,
        "not_the_api": _FAILED,
        "redirects": _FAILED,
    },
    "ip_filtering": {"passed": _PASSED, "blocked": _FAILED, "blocked_addresses_unknown": _FAILED},
    "token_endpoint": {
        "passed": _PASSED,
        "answers": _PASSED,
        "refused": _FAILED,
        "credentials_refused": _FAILED,
        "not_served": _FAILED,
    },
    "oauth_client": {
        "passed": _PASSED,
        "works": _PASSED,
        "known": _PASSED,
        "inactive": _FAILED,
        "unknown_client": _FAILED,
        "redirect_missing": _FAILED,
        "lifespan_differs": _FAILED,
        "unreadable": _UNKNOWN,
    },
    "application_registry": {"passed": _PASSED, "closed": _FAILED, "refused": _FAILED, "unreadable": _UNKNOWN},
    "consent": {
        "passed": _PASSED,
        "not_needed": _PASSED,
        "not_connected": _FAILED,
        "ends_soon": _FAILED,
        "ended": _FAILED,
        "refused": _FAILED,
        "missing": _FAILED,
    },
    "single_sign_on": {
        "passed": _PASSED,
        "connected": _PASSED,
        "in_the_way": _FAILED,
        "no_sign_in_page": _UNKNOWN,
    },
    "multifactor": {"exempted": _PASSED, "named": _PASSED, "nobody_named": _UNKNOWN},
    "signed_in_user": {"passed": _PASSED, "wrong_user": _FAILED, "not_told": _UNKNOWN},
    "user_account": {
        "passed": _PASSED,
        "inactive": _FAILED,
        "locked_out": _FAILED,
        "web_service_only": _FAILED,
        "password_reset": _FAILED,
        "unreadable": _UNKNOWN,
    },
    "user_roles": {"passed": _PASSED, "proven": _PASSED, "missing": _FAILED, "unreadable": _UNKNOWN},
    "rest_access": {
        "passed": _PASSED,
        "token_refused": _FAILED,
        "scope_missing": _FAILED,
        "rights_missing": _FAILED,
        "table_closed": _FAILED,
        "refused": _FAILED,
    },
    "query_task": {"passed": _PASSED, "refused": _FAILED},
    "read": {"passed": _PASSED, "refused": _FAILED},
    "create": {
        "created": _PASSED,
        "left_open": _PASSED,
        "by_tickets": _PASSED,
        "by_roles": _PASSED,
        "role_missing": _FAILED,
        "refused": _FAILED,
        "outcome_unknown": _UNKNOWN,
        "dry_run_needed": _UNKNOWN,
    },
    "fields": {
        "tried": _PASSED,
        "by_tickets": _PASSED,
        "foreseen": _PASSED,
        "refused": _FAILED,
        "lost": _FAILED,
        "dry_run_needed": _UNKNOWN,
    },
    "own_tickets": {"passed": _PASSED, "hidden": _FAILED, "none_yet": _UNKNOWN},
    "choice_labels": {"passed": _PASSED, "refused": _FAILED},
    "client_sys_id": {"passed": _PASSED, "replaced": _FAILED, "dry_run_needed": _UNKNOWN},
    "texts_kept": {"passed": _PASSED, "shortened": _FAILED, "dry_run_needed": _UNKNOWN},
    "clock": {"passed": _PASSED, "differs": _FAILED, "not_told": _UNKNOWN},
    "rate_limits": {"none": _PASSED, "enough": _PASSED, "too_low": _FAILED, "reached": _FAILED},
    "release": {
        "passed": _PASSED,
        "by_grant": _PASSED,
        "by_tickets": _PASSED,
        "too_old": _FAILED,
        "unreadable": _UNKNOWN,
    },
    "tickets_arrive": {
        "passed": _PASSED,
        "some_refused": _PASSED,
        "some_waiting": _PASSED,
        "no_tickets_yet": _PASSED,
        "not_configured": _FAILED,
        "authorize_missing": _FAILED,
        "reauthorize": _FAILED,
        "unavailable": _FAILED,
        "no_kind_enabled": _FAILED,
        "only_refused": _UNKNOWN,
        "waiting": _FAILED,
        "not_synchronised": _FAILED,
    },
}
"""Reasons by topic, in addition to :data:`ANY_CHECK`."""


@value_object
class Finding:
    """What a check found.

    Attributes:
        reason: One of the :data:`REASONS` of the check's topic, or one of :data:`ANY_CHECK`.
        values: Names and figures for the words; never a secret or a ticket's text.
        problem: The failure that ServiceNow or our storage answered with, if the words mention it.
    """

    check: CheckName
    reason: str
    values: Mapping[str, str] = field(default_factory=dict)
    problem: Failure | None = None

    def __post_init__(self) -> None:
        assert self.reason in REASONS[self.check.topic] or self.reason in ANY_CHECK, f"{self.check}: {self.reason}"

    @property
    def outcome(self) -> Outcome:
        """How the check ended."""
        own = REASONS[self.check.topic]
        return own[self.reason] if self.reason in own else ANY_CHECK[self.reason]


def finding(check: CheckName, reason: str, *, problem: ConnectorError | None = None, **values: object) -> Finding:
    """Return a finding with its values as texts."""
    texts = {name: str(value) for name, value in values.items()}
    return Finding(check, reason, texts, None if problem is None else problem.failure)
