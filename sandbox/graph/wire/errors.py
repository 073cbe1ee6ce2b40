"""Graph's error answers (Microsoft Graph §1.8, §2.6, §3.2). What the reference marks NOT FOUND is a switch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from sandbox.graph.engine.switches import Switches


@dataclass(eq=False)
class GraphError(Exception):
    """An answer other than success.

    Attributes:
        inner: What `innerError` holds besides the date and the ids of the request.
    """

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    inner: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Exception.__init__(self, self.status, self.code, self.message)


def error_body(error: GraphError, switches: Switches, ids: Mapping[str, str], now: datetime) -> dict[str, object]:
    """Return the JSON body of an error; `ids` are `request-id` and `client-request-id`."""
    inner = {"date": now.strftime("%Y-%m-%dT%H:%M:%S"), **ids, **error.inner}
    return {"error": {"code": error.code, "message": error.message, switches.text("errors.inner_error"): inner}}


def invalid_token(message: str) -> GraphError:
    """The bearer token is missing, broken, expired, or for somebody else (Microsoft Graph §2.6)."""
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": 'Bearer realm=""'})


def missing_role(switches: Switches, *roles: str) -> GraphError:
    """The token lacks every one of these roles (Microsoft Graph §1.8)."""
    return GraphError(
        403,
        switches.text("errors.forbidden_code"),
        "Auth token does not contain valid permissions or user does not have valid roles. "
        f"Permissions required: {', '.join(roles)}",
    )


def not_found(switches: Switches, what: str) -> GraphError:
    """Nothing has that id or path; the body is not documented (Microsoft Graph §1.3)."""
    return GraphError(404, switches.text("errors.not_found_code"), f"Resource '{what}' does not exist.")


def bad_request(message: str) -> GraphError:
    """A query option is malformed or not supported."""
    return GraphError(400, "BadRequest", message)


def method_not_allowed(method: str) -> GraphError:
    """The resource does not support the verb (Microsoft Graph §1.1; the body is not documented)."""
    return GraphError(405, "MethodNotAllowed", f"The HTTP method '{method}' is not supported by this resource.")


def too_many_requests(switches: Switches) -> GraphError:
    """The caller is throttled (Microsoft Graph §3.1)."""
    return GraphError(
        429,
        "TooManyRequests",
        "Please retry again later.",
        retry_after(switches.text("throttling.retry_after"), switches.number("throttling.retry_after_s")),
        {"code": "429", "message": "Please retry after", "status": "429"},
    )


def retry_after(form: str, seconds: int) -> dict[str, str]:
    """Return the header `Retry-After` in one of its forms: seconds, date, zero or none (Microsoft Graph §3.1).

    A date is one of the real clock, as the header `Date` is.
    """
    match form:
        case "seconds":
            return {"Retry-After": str(seconds)}
        case "date":
            return {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}
        case "zero":
            return {"Retry-After": "0"}
        case _:
            return {}
