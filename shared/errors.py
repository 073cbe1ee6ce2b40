"""Every error of the product, grouped by what a person has to do about it.

::

    ConnectorError
    ├── TryLater                     nothing: the connector tries again
    │   ├── ServiceNowUnavailable        no answer, or an answer that is not the API's
    │   │   ├── InstanceBusy, InstanceHibernating, NoAnswerInTime, QuotaExceeded, AnswerIncomplete, AnswerTooLarge,
    │   │   │   AnswerEncoded, NoRoomForAnswer, NotTheApi
    │   │   ├── OutcomeUnknown               a write was sent, but its outcome is not known
    │   │   └── AccessTokenRefused           the API does not accept the access token; renew it
    │   ├── ServiceNowThrottled          429
    │   ├── RequestBudgetSpent           nothing sent, so that there is no 429
    │   ├── GraphUnavailable             no answer, or an answer that is not Microsoft Graph's
    │   │   └── GraphBusy, GraphTimeout, GraphAnswerTooLarge
    │   ├── GraphThrottled               Microsoft Graph asks us to wait
    │   ├── AskedAgainTooSoon            the caller waits a little
    │   └── StorageUnavailable           Table Storage or Key Vault did not answer
    │       └── RowUnreadable                a stored row makes no sense to this release
    ├── Reauthorize                  an administrator signs in to ServiceNow again
    ├── FixConfiguration             an administrator changes something, here or in ServiceNow
    │   ├── AccessRefused                rights are missing
    │   │   ├── InstanceClosed               every request is refused: IP filter, redirect, another page
    │   │   │   └── AccessScopeMissing           the OAuth client's access scopes do not cover the API
    │   │   ├── InsufficientRights           access controls
    │   │   ├── TableNotAvailable            the table is closed to web services, or does not exist
    │   │   ├── CrossScopeRefused            the table is closed to other application scopes
    │   │   ├── QueryRefused                 this way of searching is refused
    │   │   └── RecordsHidden                ServiceNow has records but shows none of them
    │   ├── ValuesRefused                data policy, business rule
    │   │   └── MandatoryFieldsMissing       fields that the ticket does not have
    │   ├── TenantRefused                there is no token for the tenant, or it lacks the permission
    │   │   └── GraphTokenRefused            Microsoft Graph does not accept the access token
    │   └── GraphRequestRejected         Microsoft Graph does not accept the request
    ├── FixRequest                   the caller changes the request
    │   ├── NotSignedIn                  nobody has signed in
    │   ├── ConnectionNotAuthorized      the connection has no consent yet
    │   ├── ConfirmationNeeded           a person has to accept the warnings about a ticket
    │   └── IdempotencyKeyReused         the key belongs to another request
    └── OurBug                       somebody reads the log

Each has a stable ``code`` (:mod:`shared.error_codes`; the table is in ``docs/api.md``) and values: names and figures.
Its words are added where people read them (:mod:`shared.words`). No value is ever a secret or a ticket's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Self, TypedDict, Unpack, cast

from shared.error_codes import Code
from shared.value_object import value_object


class Fault(TypedDict):
    """What is wrong with one value of a request's body.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the value.
        code: Our own (:data:`shared.error_codes.OwnFaultCode`) or pydantic's.
        values: The limits that the value has to respect; never the value itself.
    """

    pointer: str
    code: str
    values: Mapping[str, str | int]


class Values(TypedDict, total=False):
    """Names and figures of an error, for its words and for the code that handles it.

    Attributes:
        variant: Which meaning of the code, if it has several; some variants have their own words.
        reason: Code of the error behind this one; its values are included here, and its words in this one's.
        allowed_methods: Methods that the address accepts.
        answered_status: HTTP status of somebody else's answer.
        compared: Open tickets that were looked for.
        connection_id: Connection whose authorization has to begin again.
        connection_ids: Connections; the request has to name one of them.
        correlation_id: The ticket's correlation id in ServiceNow.
        count: Number of faults in the body.
        ended_on: ISO date of the last day of the consent.
        entra_code: Number of an error of Microsoft Entra ID, after ``AADSTS``; the HTTP status if it has none.
        errors: The first faults.
        expected: The media type that the request has to declare.
        field: ServiceNow field that was requested.
        former_instance: Claimed former address of the instance.
        gone: Open tickets that were not found.
        instance: Address of the instance.
        integration_user: ServiceNow user who has to consent.
        kind: Kind of ticket.
        kinds: Kinds of ticket.
        limit: The most that is allowed.
        log_out_first: Whether ServiceNow has to sign out its present user before the authorization begins again.
        names: Names in the answer or in a file: fields, a rule, a scope, an error, columns.
        parameter: Query parameter.
        parameters: Known query parameters.
        number: Number of a ticket in ServiceNow.
        portal: Portal of the recommendation.
        recommendation_id: Key of a recommendation within its tenant.
        redirect_uri: Redirect address of the OAuth client.
        roles: App roles; the caller needs one of them.
        signed_in_user: ServiceNow user who consented instead.
        table: One of our own tables.
        ticket_id: The ticket that was stored.
        ticket_ids: Tickets that do not exist.
        tenant_ids: Tenants; the request has to name one of them.
        too_long_by: Characters by which the description is too long.
        user: ServiceNow user concerned.
        wanted: What is missing, in a form for people: roles in ServiceNow or in an access token, columns of a file.
        choices: Allowed values of a parameter.
    """

    variant: str
    reason: str | None
    allowed_methods: Sequence[str]
    answered_status: int
    choices: Sequence[str]
    compared: int
    connection_id: str
    connection_ids: Sequence[str]
    correlation_id: str
    count: int
    ended_on: str
    entra_code: int
    errors: Sequence[Fault]
    expected: str
    field: str
    former_instance: str
    gone: int
    instance: str
    integration_user: str
    kind: str
    kinds: Sequence[str]
    limit: int
    log_out_first: bool
    names: str
    number: str
    parameter: str
    parameters: Sequence[str]
    portal: str
    recommendation_id: str
    redirect_uri: str
    roles: Sequence[str]
    signed_in_user: str
    table: str
    ticket_id: str
    ticket_ids: Sequence[str]
    tenant_ids: Sequence[str]
    too_long_by: int
    user: str
    wanted: str


@value_object
class Failure:
    """What went wrong, in a form that can be stored: a code and its values.

    Attributes:
        code: A code of this release (:data:`shared.error_codes.Code`), or of another release that wrote the row.
        values: As :class:`Values`.
        message, next_step: English words that another release stored with it; empty for a failure of this release.
    """

    code: str
    values: Mapping[str, object] = field(default_factory=dict)
    message: str = ""
    next_step: str = ""

    def __str__(self) -> str:
        return " ".join([self.code, *(f"{name}={value!r}" for name, value in self.values.items())])


class ConnectorError(Exception):
    """An error that can be shown to a person.

    Attributes:
        failure: What went wrong.
        status: HTTP status of the answer when this error ends a request.
        may_be_written: A write was sent and may have succeeded, so it must not be sent again without a look-up.
    """

    default_code: ClassVar[Code | None] = None
    status = 500
    may_be_written = False

    def __init__(self, code: Code | None = None, *, status: int | None = None, **values: Unpack[Values]) -> None:
        code = code or type(self).default_code
        assert code is not None, "this kind of error has no code of its own"
        self.failure = Failure(code, dict(values))
        super().__init__(str(self.failure))
        self.status = status or type(self).status

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """Return an error of this kind for a stored failure or for the failure of another error."""
        error = cls(cast("Code", failure.code))
        error.failure = failure
        error.args = (str(failure),)
        return error

    @property
    def code(self) -> str:
        """Stable identifier, lower case with underscores."""
        return self.failure.code

    @property
    def values(self) -> Values:
        """Names and figures."""
        return cast("Values", self.failure.values)

    @property
    def as_reason(self) -> Values:
        """The values for an error that this one, or the reason behind this one, has caused."""
        return {**self.values, "reason": self.values.get("reason") or self.code}


class TryLater(ConnectorError):
    """Nobody has to do anything: the connector tries again.

    Attributes:
        retry_after_s: Seconds that the other side asked us to wait, or None.
    """

    status = 503

    def __init__(
        self, code: Code | None = None, *, retry_after_s: float | None = None, **values: Unpack[Values]
    ) -> None:
        super().__init__(code, **values)
        self.retry_after_s = retry_after_s


class ServiceNowUnavailable(TryLater):
    """ServiceNow did not answer, or something other than its API answered; nothing was written."""

    default_code: ClassVar[Code | None] = "servicenow_unavailable"


class InstanceBusy(ServiceNowUnavailable):
    """The instance has not answered earlier requests yet, so this one was not sent."""

    default_code: ClassVar[Code | None] = "instance_busy"


class InstanceHibernating(ServiceNowUnavailable):
    """A developer instance is hibernating; somebody has to wake it."""

    default_code: ClassVar[Code | None] = "servicenow_hibernating"


class NoAnswerInTime(ServiceNowUnavailable):
    """ServiceNow did not answer in time: it hangs, or we asked for too much."""

    default_code: ClassVar[Code | None] = "servicenow_timeout"


class QuotaExceeded(ServiceNowUnavailable):
    """ServiceNow stopped the request because it took too long."""

    default_code: ClassVar[Code | None] = "servicenow_quota_exceeded"


class AnswerIncomplete(ServiceNowUnavailable):
    """The answer was cut off, or lacks what every answer of its kind has."""

    default_code: ClassVar[Code | None] = "answer_incomplete"


class AnswerTooLarge(ServiceNowUnavailable):
    """The answer was larger than we accept."""

    default_code: ClassVar[Code | None] = "answer_too_large"


class AnswerEncoded(ServiceNowUnavailable):
    """The answer was encoded in a way that we did not ask for."""

    default_code: ClassVar[Code | None] = "answer_encoded"


class NoRoomForAnswer(ServiceNowUnavailable):
    """The answer is large, and the connector was still reading other large ones."""

    default_code: ClassVar[Code | None] = "connector_busy"


class NotTheApi(ServiceNowUnavailable):
    """Something other than the endpoint that was called answered."""

    default_code: ClassVar[Code | None] = "servicenow_not_the_api"


class OutcomeUnknown(ServiceNowUnavailable):
    """A write was sent and its outcome is not known: it must not be repeated without a look-up."""

    default_code: ClassVar[Code | None] = "outcome_unknown"
    may_be_written = True


class AccessTokenRefused(ServiceNowUnavailable):
    """The API does not accept the access token. This says nothing about the consent: another token may be accepted."""

    default_code: ClassVar[Code | None] = "access_token_refused"

    def __init__(self, code: Code | None = None, *, writing: bool = False) -> None:
        super().__init__(code)
        self.may_be_written = writing


class NewAccessTokenRefused(AccessTokenRefused):
    """The API does not even accept an access token that ServiceNow has just issued."""

    default_code: ClassVar[Code | None] = "new_access_token_refused"


class ServiceNowThrottled(TryLater):
    """ServiceNow answered 429."""

    default_code: ClassVar[Code | None] = "servicenow_throttled"


class RequestBudgetSpent(TryLater):
    """The requests that an instance allows background work until now are used up, or it has refused some."""

    default_code: ClassVar[Code | None] = "request_budget_spent"


class GraphUnavailable(TryLater):
    """Microsoft Graph or the identity endpoint did not answer, or something else did."""

    default_code: ClassVar[Code | None] = "graph_unavailable"


class GraphBusy(GraphUnavailable):
    """The connector still works on earlier requests to Microsoft Graph, so this one was not sent or not read."""

    default_code: ClassVar[Code | None] = "graph_requests_waiting"


class GraphTimeout(GraphUnavailable):
    """Microsoft Graph did not answer in time."""

    default_code: ClassVar[Code | None] = "graph_timeout"


class GraphAnswerTooLarge(GraphUnavailable):
    """The answer was larger than we accept."""

    default_code: ClassVar[Code | None] = "graph_answer_too_large"


class GraphThrottled(TryLater):
    """Microsoft Graph is busy or has had too many requests."""

    default_code: ClassVar[Code | None] = "graph_throttled"


class AskedAgainTooSoon(TryLater):
    """Somebody asked for the same a moment ago, and it makes outside calls; ``retry_after_s`` says how long to wait."""

    status = 429


class StorageUnavailable(TryLater):
    """Table Storage or Key Vault did not answer."""

    default_code: ClassVar[Code | None] = "storage_unavailable"


class RowUnreadable(StorageUnavailable):
    """A stored row cannot be read by this release; a later one may be able to read it."""

    default_code: ClassVar[Code | None] = "row_unreadable"


class Reauthorize(ConnectorError):
    """The token endpoint no longer accepts the consent; an administrator must authorize the connection again."""

    default_code: ClassVar[Code | None] = "reauthorization_required"
    status = 409


class FixConfiguration(ConnectorError):
    """An administrator has to change something, in the connection or in ServiceNow."""

    status = 502


class AccessRefused(FixConfiguration):
    """ServiceNow refuses the integration user."""

    default_code: ClassVar[Code | None] = "servicenow_access_refused"


class InstanceClosed(AccessRefused):
    """The instance refuses every request to the API; this says nothing about the request that was refused."""

    def __init__(self, code: Code | None = None, *, writing: bool = False, **values: Unpack[Values]) -> None:
        super().__init__(code, **values)
        self.may_be_written = writing


class AccessScopeMissing(InstanceClosed):
    """The access scopes of the OAuth client do not cover the API."""

    default_code: ClassVar[Code | None] = "access_scope_missing"


class InsufficientRights(AccessRefused):
    """Access controls do not allow the integration user what we asked for."""

    default_code: ClassVar[Code | None] = "insufficient_rights"


class TableNotAvailable(AccessRefused):
    """ServiceNow does not offer the table to web services."""

    default_code: ClassVar[Code | None] = "table_not_available"


class CrossScopeRefused(AccessRefused):
    """The table is closed to applications of other scopes, whatever roles the integration user has."""

    default_code: ClassVar[Code | None] = "cross_scope_refused"


class QueryRefused(AccessRefused):
    """ServiceNow does not let the integration user search like this; another way may work."""

    default_code: ClassVar[Code | None] = "query_refused"


class RecordsHidden(AccessRefused):
    """ServiceNow has records that belong in the answer but shows none of them."""

    default_code: ClassVar[Code | None] = "records_not_visible"


class RecordHidden(FixConfiguration):
    """ServiceNow wrote the record, but does not show it to the integration user: a rule has moved it elsewhere."""

    default_code: ClassVar[Code | None] = "record_hidden"
    may_be_written = True


class ValuesRefused(FixConfiguration):
    """ServiceNow does not accept the values of this record: a data policy or a business rule."""

    default_code: ClassVar[Code | None] = "servicenow_values_refused"
    status = 422


class MandatoryFieldsMissing(ValuesRefused):
    """ServiceNow requires fields that the record does not have."""

    default_code: ClassVar[Code | None] = "mandatory_fields_missing"


class TenantRefused(FixConfiguration):
    """Microsoft does not let the app read the tenant: no token, another tenant's, or one without the permission."""

    default_code: ClassVar[Code | None] = "graph_permission_missing"


class GraphTokenRefused(TenantRefused):
    """Microsoft Graph does not accept the access token, whatever the app may read."""

    default_code: ClassVar[Code | None] = "graph_token_refused"


class GraphRequestRejected(FixConfiguration):
    """Microsoft Graph does not accept the request, or does not have what was asked for."""

    default_code: ClassVar[Code | None] = "graph_request_rejected"


class FixRequest(ConnectorError):
    """The caller has to change the request."""

    status = 400


class NotSignedIn(FixRequest):
    """The route is for people and programs that have signed in."""

    default_code: ClassVar[Code | None] = "not_signed_in"
    status = 401


class ConnectionNotAuthorized(FixRequest):
    """Nobody has authorized the connection yet, or it is removed."""

    default_code: ClassVar[Code | None] = "connection_not_authorized"
    status = 409


class ConfirmationNeeded(FixRequest):
    """There is a warning about the ticket that the person has not accepted; the same key may be used again."""

    default_code: ClassVar[Code | None] = "confirmation_needed"
    status = 409


class IdempotencyKeyReused(FixRequest):
    """The caller has used the idempotency key for another request."""

    default_code: ClassVar[Code | None] = "idempotency_key_reused"
    status = 422


class OurBug(ConnectorError):
    """Something that should not happen; the log has the details."""

    default_code: ClassVar[Code | None] = "internal_error"
