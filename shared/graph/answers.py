"""What Microsoft Graph's answers mean (Microsoft Graph §1.8, §2.6, §3.2): pure.

The status decides, and for a refusal also whether Microsoft Graph itself has written it; no text does. Nothing of an
answer goes into an error.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.errors import (
    ConnectorError,
    GraphRequestRejected,
    GraphThrottled,
    GraphTokenRefused,
    GraphUnavailable,
    TenantRefused,
)
from shared.outbound.answers import Answer
from shared.value_object import value_object

READING_ROLE: Final = "SecurityEvents.Read.All"
"""The app role that reading needs (Microsoft Graph §2.1)."""
SUFFICIENT_ROLES: Final = frozenset({READING_ROLE, "SecurityEvents.ReadWrite.All"})
"""The app roles of which one is enough to read."""

_BUSY: Final = frozenset({423, 429, 503, 504, 509})
_PARTIAL: Final = 206
_FROM_A_GATEWAY: Final = "UnknownError"
"""The code with which Microsoft Graph wraps the page of a gateway (Microsoft Graph §1.8)."""
_NOT_THERE: Final = "HostNotFound"
"""The code of a 500 if there is no back end for the tenant (Microsoft Graph §1.8)."""
_GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NAME_OF_A_PLACE: Final = re.compile(r"[A-Za-z0-9 ()-]{1,60}")


_CLAIMS: Final = re.compile(r'\bclaims="([A-Za-z0-9+/_=-]{1,4096})"')
"""The claims of a challenge, in Base64."""
_URL_SAFE: Final = str.maketrans("+/", "-_")


class ClaimsDemanded(GraphTokenRefused):
    """Microsoft Graph accepts only a token that is requested with certain claims (Microsoft Graph §2.6).

    Attributes:
        claims: A JSON object, as Microsoft Entra ID takes it.
    """

    def __init__(self, claims: str) -> None:
        super().__init__()
        self.claims = claims


@value_object
class Page:
    """A part of a list.

    Attributes:
        items: Entries, as received; a number with a fraction or an exponent is a text.
        is_complete: False if a provider did not answer, so that entries can be missing.
        next_link: Where the list goes on, as received and not yet checked; None at its end.
    """

    items: Sequence[object]
    is_complete: bool
    next_link: object


def page_of(answer: Answer, now: datetime) -> Page:
    """Return the part of a list that an answer holds.

    Args:
        now: Present time, for an answer without a ``Date``.

    Raises:
        GraphUnavailable, GraphThrottled: There is no real answer.
        GraphTokenRefused: Another token is needed.
        TenantRefused, GraphRequestRejected: Microsoft Graph refuses the request.
    """
    if (error := _error(answer, now)) is not None:
        raise error
    document = _document(answer)
    items = None if document is None or "error" in document else document.get("value")
    if document is None or not isinstance(items, list):
        raise GraphUnavailable("graph_answer_unusable")
    return Page(items, answer.status != _PARTIAL, document.get("@odata.nextLink"))


def request_id_of(answer: Answer) -> str | None:
    """Return ``request-id``, by which Microsoft's support finds the request; None if it is missing or not a GUID."""
    text = answer.headers.get("request-id", "")
    return text if _GUID.fullmatch(text) else None


def claims_of(answer: Answer) -> str | None:
    """Return the claims in ``WWW-Authenticate`` that another token has to be requested with; None if there are none."""
    found = _CLAIMS.search(answer.headers.get("www-authenticate", ""))
    if found is None:
        return None
    encoded = found[1].rstrip("=").translate(_URL_SAFE)
    try:
        text = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        claims = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return text if isinstance(claims, dict) else None


def data_center_of(answer: Answer) -> str | None:
    """Return the data centre in ``x-ms-ags-diagnostic``; None if there is none."""
    try:
        name = json.loads(answer.headers.get("x-ms-ags-diagnostic", ""))["ServerInfo"]["DataCenter"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    is_name = isinstance(name, str) and _NAME_OF_A_PLACE.fullmatch(name) and name == answer.without_token(name)
    return name if is_name else None


def _error(answer: Answer, now: datetime) -> ConnectorError | None:
    status = answer.status
    if status in {200, _PARTIAL}:
        return None
    if status in _BUSY:
        return GraphThrottled(retry_after_s=answer.retry_after_s(now), answered_status=status)
    if status == 401:
        return GraphTokenRefused() if (claims := claims_of(answer)) is None else ClaimsDemanded(claims)
    if status == 403:
        if _document(answer) is None or _code(answer) == _FROM_A_GATEWAY:
            return GraphUnavailable("graph_access_blocked")
        return TenantRefused("graph_permission_missing", wanted=READING_ROLE)
    if status == 404 or (status == 500 and _code(answer) == _NOT_THERE):
        return GraphRequestRejected("secure_score_not_available")
    if 400 <= status < 500 and status != 408:
        return GraphRequestRejected(answered_status=status)
    return GraphUnavailable(variant="answered", answered_status=status)


def _document(answer: Answer) -> Mapping[str, object] | None:
    return answer.document(parse_float=str) if answer.is_json else None


def _code(answer: Answer) -> object:
    """Return the code in an error document; None if there is none."""
    error = (_document(answer) or {}).get("error")
    return error.get("code") if isinstance(error, dict) else None
