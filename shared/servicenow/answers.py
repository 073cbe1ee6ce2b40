"""What ServiceNow's answers mean (ServiceNow §2.8, §2.9, §3): pure.

A real answer has an ok status and a JSON content type, parses, and has ``result``. A real refusal is ServiceNow's own
error document. Everything else becomes an error of :mod:`shared.errors`, chosen by what a person has to do. For a write
there is one more question: could it have been carried out? ``may_be_written`` says where the answer leaves that open: a
proxy or a firewall may put its own page in place of any answer, that to a successful insert included.

No error repeats an answer's text: only field labels, and names of rules and scopes, which a person needs for the cure.
Those come from whoever answers, so each is one quoted line of bounded length, without the access token of the request:
a rule or a gateway may put the request's headers into its texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.errors import (
    AccessRefused,
    AccessTokenRefused,
    AnswerIncomplete,
    ConnectorError,
    CrossScopeRefused,
    FixConfiguration,
    InstanceClosed,
    InstanceHibernating,
    MandatoryFieldsMissing,
    NotTheApi,
    OutcomeUnknown,
    QueryRefused,
    QuotaExceeded,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    ValuesRefused,
)
from shared.outbound.answers import Answer, bounded_wait_s, whole_number
from shared.texts import one_line, printable_line

_NAME_MAX_LENGTH: Final = 200
_NAME_LOOKED_AT: Final = 20_000
"""Characters of which a name is made; invisible ones and an access token fall away."""
_TRANSACTION_ID: Final = re.compile(r"[0-9A-Fa-f]{4,64}")
"""Twelve hexadecimal digits as captured; the length is NOT FOUND."""
_ABOUT_THIS_REQUEST: Final = frozenset({400, 413, 422})


def transaction_id_of(answer: Answer) -> str | None:
    """Return ``X-Transaction-ID``, by which ServiceNow's own log is searched; None when it was not sent or is no id."""
    text = answer.headers.get("x-transaction-id", "")
    return text if _TRANSACTION_ID.fullmatch(text) and text == answer.without_token(text) else None


def total_count_of(answer: Answer) -> int | None:
    """Return ``X-Total-Count``: rows of the query, hidden ones included; None when it was not sent."""
    return whole_number(answer.headers.get("x-total-count", ""))


def result_of(answer: Answer, *, writing: bool, now: datetime) -> object:
    """Return ``result`` of a REST API answer.

    Args:
        answer: The answer.
        writing: The request was a write.
        now: Present time, for an answer without a ``Date``.

    Raises:
        OutcomeUnknown: Only for a write: it may have been carried out.
        ServiceNowUnavailable, ServiceNowThrottled: No real answer; nothing was written.
        AccessTokenRefused: Another token is needed; a write may have been carried out all the same.
        InstanceClosed: No request gets to the API, or something in front of it answered.
        AccessRefused, ValuesRefused, FixConfiguration: ServiceNow refused the request; nothing was written.
    """
    if (error := common_error(answer, writing=writing, now=now)) is not None:
        raise error
    document = answer.document()
    if answer.status < 300:
        if document is None or "result" not in document or "error" in document:
            raise unusable_answer(AnswerIncomplete("ServiceNow's answer was cut off or incomplete."), writing=writing)
        return document["result"]
    if document is None or document.get("status") != "failure" or not isinstance(document.get("error"), dict):
        raise _page_error(answer, writing=writing)
    raise _refusal(answer, *_error_texts(document), writing=writing)


def is_no_record_found(answer: Answer) -> bool:
    """Whether it is the 404 that says there is no such record, or none that we may see (ServiceNow §2.1, §2.8)."""
    if answer.status != 404 or not answer.is_json:
        return False
    message, _ = _error_texts(answer.document() or {})
    return message == "No Record found"


def common_error(answer: Answer, *, writing: bool, now: datetime) -> ConnectorError | None:
    """Return the error of an answer that is no API's answer, or means the same whatever was asked; None otherwise."""
    status = answer.status
    if status == 429:
        return _throttled(answer, now)
    if 300 <= status < 400:
        return InstanceClosed(
            "ServiceNow answered with a redirect, which is never followed.",
            code="servicenow_redirects",
            next_step="Check the instance's address: enter the one that it redirects to. If the address is right, look "
            "at what redirects the connector's requests: a proxy or a single sign-on in front.",
            writing=writing,
        )
    if status == 202:
        busy = ServiceNowUnavailable("ServiceNow put the request off.", code="servicenow_busy")
        return unusable_answer(busy, writing=writing)
    if status >= 500 or status == 408:
        if _is_quota_stop(answer):
            stopped = QuotaExceeded("ServiceNow stopped the request because it took too long.")
            return unusable_answer(stopped, writing=writing)
        return unusable_answer(ServiceNowUnavailable(f"ServiceNow answered with status {status}."), writing=writing)
    if not answer.is_json:
        return _page_error(answer, writing=writing)
    return None


def unusable_answer(error: ServiceNowUnavailable, *, writing: bool) -> ServiceNowUnavailable:
    """Return the error for an answer, or the lack of one, that does not say what became of the request.

    For a read it is the given one; of a write the outcome is not known.
    """
    if writing:
        return OutcomeUnknown(f"{error.message} It is not known whether the record was written.")
    return error


def _page_error(answer: Answer, *, writing: bool) -> ConnectorError:
    """Return the error for an answer that is not the API's: something in front answered (ServiceNow §2.9, §7)."""
    if answer.status < 300 and b"hibernat" in answer.body.lower():
        return InstanceHibernating(
            "The ServiceNow instance is hibernating; nothing was written.",
            next_step="Wake the instance on developer.servicenow.com; the connector goes on by itself.",
        )
    if answer.status == 401:
        return _token_refused(writing=writing)
    if answer.status == 403 and not answer.is_json:
        return InstanceClosed(
            "ServiceNow refuses the address that the connector calls from.",
            code="ip_address_blocked",
            next_step="Allow the connector's egress addresses in ServiceNow under System Security > IP Address Access "
            "Control.",
            writing=writing,
        )
    if 400 <= answer.status < 500:
        return InstanceClosed(
            f"Something other than ServiceNow's API answered with status {answer.status}.",
            code="servicenow_not_the_api",
            next_step="Check the instance's address, and what is between the connector and ServiceNow: a proxy, a "
            "firewall, a gateway.",
            writing=writing,
        )
    return unusable_answer(NotTheApi("Something other than ServiceNow's API answered."), writing=writing)


def _refusal(answer: Answer, message: str, detail: str, *, writing: bool) -> ConnectorError:
    """Return the error for an error document of the REST API (ServiceNow §2.8)."""
    status = answer.status
    if status == 401:
        return _token_refused(writing=writing)
    if status == 403:
        return _forbidden(answer, message, detail)
    if message.startswith("Invalid table"):
        return AccessRefused(
            "ServiceNow does not offer this table to web services.",
            code="table_not_available",
            next_step="In the table's application access, tick 'Allow access to this table via web services'.",
        )
    if "does not represent any resource" in message:
        return InstanceClosed(
            "ServiceNow does not have the API that was called.",
            code="api_not_available",
            next_step="Check that the instance's REST API is active and its version is supported.",
        )
    if status == 404:
        return AccessRefused(
            "ServiceNow does not have this record, or does not show it to the integration user.",
            code="record_not_found",
            next_step="Check the integration user's roles and the table's access controls.",
        )
    return _rejected(status)


def _forbidden(answer: Answer, message: str, detail: str) -> ConnectorError:
    """Distinguish what 403 covers: query rules, access scope, access controls, data policy, business rule."""
    if scope := re.search(r"Missing required api access scope:\s*(.*)", detail):
        return InstanceClosed(
            "The OAuth client lacks the access scope for this API" + _named(answer, scope[1]) + ".",
            code="access_scope_missing",
            next_step="In the OAuth client, untick 'Allow access only to APIs in selected scope' or add that scope.",
        )
    if "cross-scope access policy" in message + detail:
        return CrossScopeRefused(
            "ServiceNow's cross-scope access policy of this table refuses the operation.",
            next_step="Set the table's application access back to its defaults: accessible from all application "
            "scopes, 'Can read' ticked.",
        )
    if "rights to query" in message or "present in the query" in detail:
        return QueryRefused(
            "ServiceNow does not let the integration user search by the fields that the connector needs.",
            next_step="Let the integration user read and query correlation_id, sys_updated_on and sys_id of the task "
            "table (query_match and query_range access controls).",
        )
    if mandatory := re.search(r"following fields are mandatory:\s*(.*)", detail):
        return MandatoryFieldsMissing(
            "A data policy in ServiceNow demands fields that the ticket does not have"
            + _named(answer, mandatory[1])
            + ".",
            next_step="Set a default for them in the connection where it offers one, or exempt the integration user in "
            "ServiceNow's data policy; then retry.",
        )
    if "Data Policy Exception" in detail:
        return ValuesRefused(
            "A data policy in ServiceNow refuses the ticket.",
            code="data_policy_refused",
            next_step="Look for the data policies of this table in ServiceNow, adjust them, then retry.",
        )
    if rule := re.search(r"aborted by Business Rule '([^'^]*)", detail):
        return ValuesRefused(
            "A business rule in ServiceNow refuses the ticket" + _named(answer, rule[1]) + ".",
            code="business_rule_refused",
            next_step="Look the business rule up in ServiceNow, exempt the integration user or adjust the rule, then "
            "retry.",
        )
    if "ACL" in detail or "Not Authorized" in message or "security constraints" in detail:
        return AccessRefused(
            "The integration user lacks the rights for this in ServiceNow.",
            code="insufficient_rights",
            next_step="Give the integration user the roles itil (or sn_incident_write and sn_change_write) and, where "
            "REST access controls are active, snc_platform_rest_api_access.",
        )
    return AccessRefused(
        "ServiceNow refuses this without saying why.",
        code="servicenow_access_refused",
        next_step="Look at the instance's transaction and security logs for the integration user.",
    )


def _token_refused(*, writing: bool) -> AccessTokenRefused:
    return AccessTokenRefused(
        "ServiceNow does not accept the access token.",
        writing=writing,
        next_step="Nothing to do: the connector asks for another token.",
    )


def _rejected(status: int) -> FixConfiguration:
    """Return the error for a status that no text explains; only some of them speak of this one request."""
    error = FixConfiguration if status in _ABOUT_THIS_REQUEST else InstanceClosed
    return error(
        f"ServiceNow rejected the request with status {status}; nothing was written.",
        code="servicenow_rejected_request",
        next_step="Look at the instance's logs for the request; if nothing explains it, report it to the connector's "
        "developers.",
    )


def _throttled(answer: Answer, now: datetime) -> ServiceNowThrottled:
    return ServiceNowThrottled(
        "ServiceNow allows no more requests at the moment; nothing was written.",
        retry_after_s=retry_after_s(answer, now),
        next_step="Nothing to do. If it lasts, look at the instance's REST API rate limit rules.",
    )


def retry_after_s(answer: Answer, now: datetime) -> float | None:
    """Return how many seconds to wait after a 429, at most an hour; None when the answer does not say.

    ``Retry-After`` counts first, in seconds or as a date, then ``X-RateLimit-Reset`` (Unix time); both times are read
    against the answer's own ``Date``, so that a wrong clock on either side does not matter.

    A 429 without any header comes from a full semaphore queue (ServiceNow §3), which empties within seconds, or from
    a cause nobody documents. One public client then pauses for half an hour. We do not make up a time: the caller's
    own backoff, doubling up to an hour, starts small enough for the first cause and grows long enough for any other.
    """
    if (wait_s := answer.retry_after_s(now)) is not None:
        return wait_s
    reset = whole_number(answer.headers.get("x-ratelimit-reset", ""))
    return None if reset is None else bounded_wait_s(reset - answer.sent_at(now).timestamp())


def _is_quota_stop(answer: Answer) -> bool:
    message, detail = _error_texts(answer.document() or {})
    return "maximum execution time exceeded" in message + detail


def _error_texts(document: Mapping[str, object]) -> tuple[str, str]:
    """Return message and detail of an error document; empty texts for what is not there."""
    error = document.get("error")
    if not isinstance(error, dict):
        return "", ""
    message, detail = error.get("message"), error.get("detail")
    return message if isinstance(message, str) else "", detail if isinstance(detail, str) else ""


def _named(answer: Answer, text: str) -> str:
    """Return names taken from an answer as part of a sentence, quoted so that they cannot pass for the rest of it."""
    # Invisible characters go first, since they could hide a token; the cut comes last, since it could leave a part.
    seen = answer.without_token(printable_line(text[:_NAME_LOOKED_AT]))
    names = one_line(seen.replace('"', "'"), _NAME_MAX_LENGTH)
    return f': "{names}"' if names else ""
