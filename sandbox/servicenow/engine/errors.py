"""The error answers of the REST APIs, word for word as captured (ServiceNow §2.8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class ServiceNowError(Exception):
    """An answer other than success. `body` is sent as it is."""

    status: int
    message: str
    detail: str | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Exception.__init__(self, self.message, self.detail)

    @property
    def body(self) -> dict[str, object]:
        """The JSON body."""
        return {"error": {"message": self.message, "detail": self.detail}, "status": "failure"}


def invalid_table(name: str) -> ServiceNowError:
    """The table does not exist, or is closed to web services."""
    return ServiceNowError(400, f"Invalid table {name}", None)


def invalid_limit() -> ServiceNowError:
    """`sysparm_limit` is not a positive integer."""
    return ServiceNowError(
        400, "Invalid value given for sysparm_limit", "sysparm_limit value must be a positive integer"
    )


def invalid_offset() -> ServiceNowError:
    """`sysparm_offset` is not an integer, or negative (text inferred from that of the limit)."""
    return ServiceNowError(
        400, "Invalid value given for sysparm_offset", "sysparm_offset value must be a non-negative integer"
    )


def unreadable_payload(detail: str) -> ServiceNowError:
    """The API cannot read the body."""
    return ServiceNowError(400, "Exception while reading request", detail)


def payload_too_large(length: int, maximum: int) -> ServiceNowError:
    """The body exceeds `glide.rest.max_content_length`."""
    return unreadable_payload(
        f"Rejected large REST payload with content-length = {length} bytes. Max allowed: {maximum} bytes."
    )


def unknown_resource(status: int) -> ServiceNowError:
    """No API has that path."""
    return ServiceNowError(status, "Requested URI does not represent any resource", None)


def not_authenticated(message: str = "User Not Authenticated") -> ServiceNowError:
    """Missing, wrong or expired credentials."""
    return ServiceNowError(
        401,
        message,
        "Required to provide Auth information",
        {"WWW-Authenticate": 'Basic realm="Service-now"'},
    )


def query_forbidden() -> ServiceNowError:
    """A condition or sort order uses a field that the caller may not query."""
    return ServiceNowError(
        403,
        "Insufficient rights to query records",
        "Field(s) present in the query do not have permission to be read",
    )


def not_authorized(detail: str = "Failed API level ACL Validation") -> ServiceNowError:
    """The caller may not use this API or table."""
    return ServiceNowError(403, "User Not Authorized", detail)


def unreadable_table(name: str) -> ServiceNowError:
    """The caller passes no read rule of the table (ServiceNow §2.8)."""
    return not_authorized(f"User is unauthorized to access table: {name}")


def missing_access_scope(scope: str) -> ServiceNowError:
    """The OAuth client lacks an authentication scope (ServiceNow §1.7)."""
    return not_authorized(f"Missing required api access scope: {scope}")


def operation_failed(detail: str) -> ServiceNowError:
    """An access rule, a data policy or a business rule refused the write; only the detail says which."""
    return ServiceNowError(403, "Operation Failed", detail)


def write_forbidden(operation: str) -> ServiceNowError:
    """An access rule refused `operation`: Insert, Update or Delete."""
    return operation_failed(f"ACL Exception {operation} Failed due to security constraints")


def mandatory_fields(labels: list[str]) -> ServiceNowError:
    """A data policy requires fields that are missing. The newline and tab are on the wire."""
    return operation_failed(f"Data Policy Exception: \n\tThe following fields are mandatory: {', '.join(labels)}")


def read_only_fields(labels: list[str]) -> ServiceNowError:
    """A data policy protects fields from changes (ServiceNow §16; text not found)."""
    return operation_failed(f"Data Policy Exception: \n\tThe following fields are read only: {', '.join(labels)}")


def aborted_by_business_rule(table: str, name: str, sys_id: str) -> ServiceNowError:
    """A business rule aborted the write; its message to the user is not returned."""
    return operation_failed(
        f"Operation against file '{table}' was aborted by Business Rule '{name}^{sys_id}'. Business Rule Stack:{name}"
    )


def duplicate_key(table: str, value: str, key: str = "PRIMARY") -> ServiceNowError:
    """A value that must be unique, such as a supplied `sys_id`, is in use (§2.5: text not found, status inferred)."""
    return operation_failed(
        f"Error during insert of {table} ({value}): Unique Key violation detected by database "
        f"(Duplicate entry '{value}' for key '{key}')"
    )


def no_record() -> ServiceNowError:
    """The row does not exist, or the caller may not read it."""
    return ServiceNowError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def method_not_supported(method: str) -> ServiceNowError:
    """The resource does not support the verb (text not found)."""
    return ServiceNowError(405, "Method not supported", f"Method {method} is not supported by this resource")


def not_acceptable(accept: str) -> ServiceNowError:
    """No resource answers in that media type (text not found)."""
    return ServiceNowError(406, "Not Acceptable", f"Requested media type {accept} is not supported")


def unsupported_media_type(content_type: str) -> ServiceNowError:
    """No resource reads the body's media type (text not found)."""
    return ServiceNowError(415, "Unsupported media type", f"Media type {content_type} is not supported")


def rate_limit_exceeded(limit: int) -> ServiceNowError:
    """A rate-limit rule denied the request."""
    return ServiceNowError(
        429, "Rate limit exceeded", f"Rate limit of {limit} requests per hour for Table API exceeded"
    )


def transaction_cancelled() -> ServiceNowError:
    """A quota ended the transaction, whether or not it had written."""
    message = "Transaction cancelled: maximum execution time exceeded"
    return ServiceNowError(
        500,
        message,
        f"{message} Check logs for error trace or enable glide.rest.debug property to verify REST request processing",
    )
