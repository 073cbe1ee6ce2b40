"""What ServiceNow's answers mean (ServiceNow §2.8, §2.9, §3): pure.

A real answer has an ok status and a JSON content type, parses, and has ``result``. A real refusal is ServiceNow's own
error document. Everything else becomes an error of :mod:`shared.errors`, chosen by what a person has to do. For a write
there is one more question: could it have been carried out? ``may_be_written`` says where the answer leaves that open: a
proxy or a firewall may replace any answer with its own page, even the answer to a successful insert.

No error repeats an answer's text, only the field labels and names of rules and scopes that a person needs to fix the
cause. They come from outside, so each is one line of bounded length, without the access token of the request: a rule or
a gateway may put the request's headers into its texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.errors import (
    AccessRefused,
    AccessScopeMissing,
    AccessTokenRefused,
    AnswerIncomplete,
    ConnectorError,
    CrossScopeRefused,
    FixConfiguration,
    InstanceClosed,
    InstanceHibernating,
    InsufficientRights,
    MandatoryFieldsMissing,
    NotTheApi,
    OutcomeUnknown,
    QueryRefused,
    QuotaExceeded,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    TableNotAvailable,
    Values,
    ValuesRefused,
)
from shared.outbound.answers import Answer, bounded_wait_s, whole_number
from shared.texts import one_line, printable_line

_NAME_MAX_LENGTH: Final = 200
_NAME_LOOKED_AT: Final = 20_000
"""Characters read to make a name, before invisible ones and an access token are removed."""
_TRANSACTION_ID: Final = re.compile(r"[0-9A-Fa-f]{4,64}")
"""Twelve hexadecimal digits as captured; the length is NOT FOUND."""
_ABOUT_THIS_REQUEST: Final = frozenset({400, 413, 422})


def transaction_id_of(answer: Answer) -> str | None:
    """Return ``X-Transaction-ID``, used to search ServiceNow's own log; None if it is missing or not an id."""
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
        AccessTokenRefused: Another token is needed; a write may have been carried out anyway.
        InstanceClosed: No request reaches the API, or something in front of it answered.
        AccessRefused, ValuesRefused, FixConfiguration: ServiceNow refused the request; nothing was written.
    """
    if (error := common_error(answer, writing=writing, now=now)) is not None:
        raise error
    document = answer.document()
    if answer.status < 300:
        if document is None or "result" not in document or "error" in document:
            raise unusable_answer(AnswerIncomplete(), writing=writing)
        return document["result"]
    if document is None or document.get("status") != "failure" or not isinstance(document.get("error"), dict):
        raise _page_error(answer, writing=writing)
    raise _refusal(answer, *_error_texts(document), writing=writing)


def is_no_record_found(answer: Answer) -> bool:
    """Whether it is the 404 for a record that does not exist or that we may not see (ServiceNow §2.1, §2.8)."""
    if answer.status != 404 or not answer.is_json:
        return False
    message, _ = _error_texts(answer.document() or {})
    return message == "No Record found"


def common_error(answer: Answer, *, writing: bool, now: datetime) -> ConnectorError | None:
    """Return the error of an answer that is not the API's, or that means the same for any request; None otherwise."""
    status = answer.status
    if status == 429:
        return _throttled(answer, now)
    if 300 <= status < 400:
        return InstanceClosed("servicenow_redirects", writing=writing)
    if status == 202:
        busy = ServiceNowUnavailable("servicenow_busy")
        return unusable_answer(busy, writing=writing)
    if status >= 500 or status == 408:
        if _is_quota_stop(answer):
            stopped = QuotaExceeded()
            return unusable_answer(stopped, writing=writing)
        return unusable_answer(ServiceNowUnavailable(variant="answered", answered_status=status), writing=writing)
    if not answer.is_json:
        return _page_error(answer, writing=writing)
    return None


def unusable_answer(error: ServiceNowUnavailable, *, writing: bool) -> ServiceNowUnavailable:
    """Return the error for a missing answer, or one that does not say what became of the request.

    For a read it is the given error; the outcome of a write is not known.
    """
    return OutcomeUnknown(**error.as_reason) if writing else error


def _page_error(answer: Answer, *, writing: bool) -> ConnectorError:
    """Return the error for an answer that is not the API's: something in front answered (ServiceNow §2.9, §7)."""
    if answer.status < 300 and b"hibernat" in answer.body.lower():
        return InstanceHibernating()
    if answer.status == 401:
        return _token_refused(writing=writing)
    if answer.status == 403 and not answer.is_json:
        return InstanceClosed("ip_address_blocked", writing=writing)
    if 400 <= answer.status < 500:
        return InstanceClosed(
            "servicenow_not_the_api", writing=writing, variant="answered", answered_status=answer.status
        )
    return unusable_answer(NotTheApi(variant="answered", answered_status=answer.status), writing=writing)


def _refusal(answer: Answer, message: str, detail: str, *, writing: bool) -> ConnectorError:
    """Return the error for an error document of the REST API (ServiceNow §2.8)."""
    status = answer.status
    if status == 401:
        return _token_refused(writing=writing)
    if status == 403:
        return _forbidden(answer, message, detail)
    if message.startswith("Invalid table"):
        return TableNotAvailable()
    if "does not represent any resource" in message:
        return InstanceClosed("api_not_available")
    if status == 404:
        return AccessRefused("record_not_found")
    return _rejected(status)


def _forbidden(answer: Answer, message: str, detail: str) -> ConnectorError:
    """Distinguish what 403 covers: query rules, access scope, access controls, data policy, business rule."""
    if scope := re.search(r"Missing required api access scope:\s*(.*)", detail):
        return AccessScopeMissing(**_named(answer, scope[1]))
    if "cross-scope access policy" in message + detail:
        return CrossScopeRefused()
    if "rights to query" in message or "present in the query" in detail:
        return QueryRefused()
    if mandatory := re.search(r"following fields are mandatory:\s*(.*)", detail):
        return MandatoryFieldsMissing(**_named(answer, mandatory[1]))
    if policy := re.search(r"Data Policy Exception:(?:[^:]*:\s*(.*))?", detail):
        return ValuesRefused("data_policy_refused", **_named(answer, policy[1] or ""))
    if rule := re.search(r"aborted by Business Rule '([^'^]*)", detail):
        return ValuesRefused("business_rule_refused", **_named(answer, rule[1]))
    if "ACL" in detail or "Not Authorized" in message or "security constraints" in detail:
        return InsufficientRights()
    return AccessRefused()


def _token_refused(*, writing: bool) -> AccessTokenRefused:
    return AccessTokenRefused(writing=writing)


def _rejected(status: int) -> FixConfiguration:
    """Return the error for a status that no text explains; only some are about this one request."""
    error = FixConfiguration if status in _ABOUT_THIS_REQUEST else InstanceClosed
    return error("servicenow_rejected_request", variant="answered", answered_status=status)


def _throttled(answer: Answer, now: datetime) -> ServiceNowThrottled:
    return ServiceNowThrottled(retry_after_s=retry_after_s(answer, now))


def retry_after_s(answer: Answer, now: datetime) -> float | None:
    """Return how many seconds to wait after a 429, at most an hour; None when the answer does not say.

    ``Retry-After`` counts first, in seconds or as a date, then ``X-RateLimit-Reset`` (Unix time). Both times are
    compared with the answer's own ``Date``, so that a wrong clock on either side does not matter.

    A 429 without any header comes from a full semaphore queue (ServiceNow §3), which empties within seconds, or from an
    undocumented cause. One public client then pauses for half an hour. We do not invent a time: the caller's own
    backoff, doubling up to an hour, starts short enough for the first cause and grows long enough for any other.
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


def _named(answer: Answer, text: str) -> Values:
    """Return names taken from an answer as the values of an error; none if the answer names nothing."""
    # Remove invisible characters first, since they could hide a token; cut last, since a cut could leave part of one.
    seen = answer.without_token(printable_line(text[:_NAME_LOOKED_AT]))
    names = one_line(seen, _NAME_MAX_LENGTH)
    return {"variant": "named", "names": names} if names else {}
