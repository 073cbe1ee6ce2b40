"""Every error of the product, split by what a person has to do about it.

::

    ConnectorError
    ├── TryLater                     nothing to do: it is tried again by itself
    │   ├── ServiceNowUnavailable        no answer, or an answer that is not the API's
    │   │   ├── InstanceBusy, InstanceHibernating, NoAnswerInTime, QuotaExceeded, AnswerIncomplete, AnswerTooLarge,
    │   │   │   AnswerEncoded, NoRoomForAnswer, NotTheApi
    │   │   ├── OutcomeUnknown               a write was sent; whether it was carried out is not known
    │   │   └── AccessTokenRefused           the API does not accept the access token; renew it
    │   ├── ServiceNowThrottled          429
    │   └── StorageUnavailable           Table Storage or Key Vault did not answer
    │       └── RowUnreadable                a stored row makes no sense to this release
    ├── Reauthorize                  an administrator signs in to ServiceNow again
    ├── FixConfiguration             an administrator changes something, here or in ServiceNow
    │   ├── AccessRefused                rights
    │   │   ├── InstanceClosed               whatever is asked: IP filter, redirect, a page in front
    │   │   │   └── AccessScopeMissing           the OAuth client's access scopes do not cover the API
    │   │   ├── InsufficientRights           access controls
    │   │   ├── TableNotAvailable            the table is closed to web services, or there is none
    │   │   ├── CrossScopeRefused            a table that is closed to other application scopes
    │   │   ├── QueryRefused                 this way of searching
    │   │   └── RecordsHidden                there are records, and none of them is shown
    │   └── ValuesRefused                data policy, business rule
    │       └── MandatoryFieldsMissing       fields that the ticket does not have
    ├── FixRequest                   the caller changes the request
    │   ├── NotSignedIn                  nobody has signed in
    │   ├── ConnectionNotAuthorized      the connection has no consent yet
    │   ├── ConfirmationNeeded           a person has to accept the warnings about a ticket
    │   └── IdempotencyKeyReused         the key belongs to another request
    └── OurBug                       somebody reads the log

Each carries a stable ``code`` (:mod:`shared.error_codes`; the table is in ``docs/api.md``) and values: names and
figures. Its words are said where people read them (:mod:`shared.words`). No value ever is a secret or a ticket's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self, TypedDict, Unpack, cast

from shared.error_codes import Code


class Fault(TypedDict):
    """What is wrong with one value of a request's body.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the value.
        code: Our own (:data:`shared.error_codes.OwnFaultCode`) or pydantic's.
        values: What the value has to keep to; never the value itself.
    """

    pointer: str
    code: str
    values: Mapping[str, str | int]


class Values(TypedDict, total=False):
    """Names and figures of an error, for its words and for whoever handles it.

    Attributes:
        variant: Which of several meanings of the code; some have words of their own.
        reason: Code of the error behind this one; its values are among these, and its words part of this one's.
        allowed_methods: Methods that the address answers.
        answered_status: HTTP status that somebody else answered with.
        compared: Open tickets that were looked for.
        connection_id: Connection of which the authorization has to begin again.
        connection_ids: Connections of which the request has to name one.
        correlation_id: The ticket's, as ServiceNow has it.
        count: Faults of the body.
        ended_on: ISO date of the last day of the consent.
        errors: The faults, as many as are listed.
        expected: Media type that the body has to be declared as.
        field: Field of ServiceNow that was asked for.
        former_instance: Address that the instance is said to have had before.
        gone: Open tickets that were not found.
        instance: Address of the instance.
        integration_user: ServiceNow user who has to consent.
        kind: Kind of ticket.
        kinds: Kinds of ticket.
        limit: The most that is allowed.
        log_out_first: ServiceNow has to sign its present user out before the authorization begins again.
        names: What ServiceNow, or whoever answered, names: fields, a rule, a scope, an error.
        parameter: Query parameter.
        parameters: Query parameters that are known.
        portal: Portal of the recommendation.
        redirect_uri: Redirect address of the OAuth client.
        roles: App roles of which one is needed.
        signed_in_user: ServiceNow user who consented instead.
        table: Table of ours.
        ticket_id: The ticket that is kept.
        ticket_ids: Tickets that are not there.
        too_long_by: Characters by which the description is too long.
        user: ServiceNow user concerned.
        wanted: Roles that are missing in ServiceNow, as people read them.
        choices: What a parameter may be.
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
    parameter: str
    parameters: Sequence[str]
    portal: str
    redirect_uri: str
    roles: Sequence[str]
    signed_in_user: str
    table: str
    ticket_id: str
    ticket_ids: Sequence[str]
    too_long_by: int
    user: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as it can be kept: a code and its values.

    Attributes:
        code: Of this release (:data:`shared.error_codes.Code`), or of another one that wrote the row.
        values: As :class:`Values`.
        message, next_step: English words that another release stored with it; empty for a failure of this one.
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
        may_be_written: A write was sent and may have been carried out, so it must not be sent again before a look-up.
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
        """Return the error for a failure that was kept, or of an error of another kind."""
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
        """The values of an error that has this one behind it, or what is behind this one."""
        return {**self.values, "reason": self.values.get("reason") or self.code}


class TryLater(ConnectorError):
    """Nobody has to do anything: the connector tries again.

    Attributes:
        retry_after_s: Seconds the other side asked us to wait, when it did.
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
    """A developer instance sleeps; somebody has to wake it."""

    default_code: ClassVar[Code | None] = "servicenow_hibernating"


class NoAnswerInTime(ServiceNowUnavailable):
    """ServiceNow did not answer in time: it hangs, or too much was asked for."""

    default_code: ClassVar[Code | None] = "servicenow_timeout"


class QuotaExceeded(ServiceNowUnavailable):
    """ServiceNow stopped the request because it took too long."""

    default_code: ClassVar[Code | None] = "servicenow_quota_exceeded"


class AnswerIncomplete(ServiceNowUnavailable):
    """The answer was cut off, or lacks what every answer of its kind has."""

    default_code: ClassVar[Code | None] = "answer_incomplete"


class AnswerTooLarge(ServiceNowUnavailable):
    """The answer was larger than one may be."""

    default_code: ClassVar[Code | None] = "answer_too_large"


class AnswerEncoded(ServiceNowUnavailable):
    """The answer was encoded in a way that nobody asked for."""

    default_code: ClassVar[Code | None] = "answer_encoded"


class NoRoomForAnswer(ServiceNowUnavailable):
    """The answer is large, and the connector was still reading others."""

    default_code: ClassVar[Code | None] = "connector_busy"


class NotTheApi(ServiceNowUnavailable):
    """Something other than the endpoint that was called answered."""

    default_code: ClassVar[Code | None] = "servicenow_not_the_api"


class OutcomeUnknown(ServiceNowUnavailable):
    """A write was sent and its outcome is not known: it must not be repeated before a look-up."""

    default_code: ClassVar[Code | None] = "outcome_unknown"
    may_be_written = True


class AccessTokenRefused(ServiceNowUnavailable):
    """The API does not accept the access token. This says nothing about the consent: another token may do."""

    default_code: ClassVar[Code | None] = "access_token_refused"

    def __init__(self, code: Code | None = None, *, writing: bool = False) -> None:
        super().__init__(code)
        self.may_be_written = writing


class NewAccessTokenRefused(AccessTokenRefused):
    """The API does not accept the access token that ServiceNow has just given either."""

    default_code: ClassVar[Code | None] = "new_access_token_refused"


class ServiceNowThrottled(TryLater):
    """ServiceNow answered 429."""

    default_code: ClassVar[Code | None] = "servicenow_throttled"


class StorageUnavailable(TryLater):
    """Table Storage or Key Vault did not answer."""

    default_code: ClassVar[Code | None] = "storage_unavailable"


class RowUnreadable(StorageUnavailable):
    """A stored row makes no sense to this release; a later one may be able to read it."""

    default_code: ClassVar[Code | None] = "row_unreadable"


class Reauthorize(ConnectorError):
    """The token endpoint no longer accepts the consent; an administrator authorizes the connection again."""

    default_code: ClassVar[Code | None] = "reauthorization_required"
    status = 409


class FixConfiguration(ConnectorError):
    """An administrator has to change something, in the connection or in ServiceNow."""

    status = 502


class AccessRefused(FixConfiguration):
    """ServiceNow refuses the integration user."""

    default_code: ClassVar[Code | None] = "servicenow_access_refused"


class InstanceClosed(AccessRefused):
    """The way to the API is closed whatever is asked; this says nothing about the one request that met it."""

    def __init__(self, code: Code | None = None, *, writing: bool = False, **values: Unpack[Values]) -> None:
        super().__init__(code, **values)
        self.may_be_written = writing


class AccessScopeMissing(InstanceClosed):
    """The access scopes of the OAuth client do not cover the API."""

    default_code: ClassVar[Code | None] = "access_scope_missing"


class InsufficientRights(AccessRefused):
    """Access controls keep the integration user from what was asked."""

    default_code: ClassVar[Code | None] = "insufficient_rights"


class TableNotAvailable(AccessRefused):
    """ServiceNow does not offer the table to web services."""

    default_code: ClassVar[Code | None] = "table_not_available"


class CrossScopeRefused(AccessRefused):
    """The table is closed to applications of other scopes, whatever roles the integration user has."""

    default_code: ClassVar[Code | None] = "cross_scope_refused"


class QueryRefused(AccessRefused):
    """ServiceNow does not let the integration user search in this way; another way may work."""

    default_code: ClassVar[Code | None] = "query_refused"


class RecordsHidden(AccessRefused):
    """ServiceNow has records that belong to the answer and shows none of them."""

    default_code: ClassVar[Code | None] = "records_not_visible"


class ValuesRefused(FixConfiguration):
    """ServiceNow does not accept the values of this record: a data policy or a business rule."""

    default_code: ClassVar[Code | None] = "servicenow_values_refused"
    status = 422


class MandatoryFieldsMissing(ValuesRefused):
    """ServiceNow demands fields that the record does not have."""

    default_code: ClassVar[Code | None] = "mandatory_fields_missing"


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
    """Something that should not happen; the log holds the details."""

    default_code: ClassVar[Code | None] = "internal_error"
