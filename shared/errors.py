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
    │   │   ├── InstanceClosed               whatever is asked: IP filter, access scope, redirect, a page in front
    │   │   ├── CrossScopeRefused            a table that is closed to other application scopes
    │   │   ├── QueryRefused                 this way of searching
    │   │   └── RecordsHidden                there are records, and none of them is shown
    │   └── ValuesRefused                data policy, business rule
    │       └── MandatoryFieldsMissing       fields that the ticket does not have
    ├── FixRequest                   the caller changes the request
    └── OurBug                       somebody reads the log

Each carries a stable ``code`` (the table is in ``docs/api.md``), a ``message`` that says what happened, and
``next_step``. No message ever holds a secret or a ticket's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

from pydantic import Field


class Fault(TypedDict):
    """What is wrong with one value of a request's body."""

    pointer: Annotated[str, Field(description="JSON pointer (RFC 6901) to the value.")]
    detail: Annotated[str, Field(description="What is wrong with it, without the value itself.")]


class ProblemMembers(TypedDict, total=False):
    """What an error can say beside its words: the further members of a problem document."""

    allowed_methods: Annotated[Sequence[str], Field(description="Methods that the address answers.")]
    authorize_path: Annotated[str, Field(description="Path that begins the authorization again.")]
    connection_ids: Annotated[Sequence[str], Field(description="Connections of which the request has to name one.")]
    errors: Annotated[Sequence[Fault], Field(description="Faults of the body.")]
    integration_user: Annotated[str, Field(description="ServiceNow user who has to consent.")]
    reason: Annotated[str | None, Field(description="Code of the reason why ServiceNow refused the ticket.")]
    retry: Annotated[str, Field(description="Path that sends the ticket again.")]
    signed_in_user: Annotated[str, Field(description="ServiceNow user who consented instead.")]
    ticket_id: Annotated[str, Field(description="The ticket that is kept.")]
    ticket_ids: Annotated[Sequence[str], Field(description="Tickets that are not there.")]
    too_long_by: Annotated[int, Field(description="Characters by which the description is too long.")]


class ConnectorError(Exception):
    """An error that can be shown to a person.

    Attributes:
        code: Stable identifier, lower case with underscores.
        status: HTTP status of the answer when this error ends a request.
        message: What happened and what was kept.
        next_step: What to do next, or an empty string when there is nothing to do.
        extra: Further members of the problem document.
        may_be_written: A write was sent and may have been carried out, so it must not be sent again before a look-up.
    """

    code = "internal_error"
    status = 500
    may_be_written = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        next_step: str = "",
        extra: ProblemMembers | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.next_step = next_step
        self.extra: ProblemMembers = extra or {}


class TryLater(ConnectorError):
    """Nobody has to do anything: the connector tries again.

    Attributes:
        retry_after_s: Seconds the other side asked us to wait, when it did.
    """

    code = "try_later"
    status = 503

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        code: str | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message, code=code, next_step=next_step)
        self.retry_after_s = retry_after_s


class ServiceNowUnavailable(TryLater):
    """ServiceNow did not answer, or something other than its API answered; nothing was written."""

    code = "servicenow_unavailable"


class InstanceBusy(ServiceNowUnavailable):
    """The instance has not answered earlier requests yet, so this one was not sent."""

    code = "instance_busy"


class InstanceHibernating(ServiceNowUnavailable):
    """A developer instance sleeps; somebody has to wake it."""

    code = "servicenow_hibernating"


class NoAnswerInTime(ServiceNowUnavailable):
    """ServiceNow did not answer in time: it hangs, or too much was asked for."""

    code = "servicenow_timeout"


class QuotaExceeded(ServiceNowUnavailable):
    """ServiceNow stopped the request because it took too long."""

    code = "servicenow_quota_exceeded"


class AnswerIncomplete(ServiceNowUnavailable):
    """The answer was cut off, or lacks what every answer of its kind has."""

    code = "answer_incomplete"


class AnswerTooLarge(ServiceNowUnavailable):
    """The answer was larger than one may be."""

    code = "answer_too_large"


class AnswerEncoded(ServiceNowUnavailable):
    """The answer was encoded in a way that nobody asked for."""

    code = "answer_encoded"


class NoRoomForAnswer(ServiceNowUnavailable):
    """The answer is large, and the connector was still reading others."""

    code = "connector_busy"


class NotTheApi(ServiceNowUnavailable):
    """Something other than the endpoint that was called answered."""

    code = "servicenow_not_the_api"


class OutcomeUnknown(ServiceNowUnavailable):
    """A write was sent and its outcome is not known: it must not be repeated before a look-up."""

    code = "outcome_unknown"
    may_be_written = True


class AccessTokenRefused(ServiceNowUnavailable):
    """The API does not accept the access token. This says nothing about the consent: another token may do."""

    code = "access_token_refused"

    def __init__(self, message: str, *, writing: bool = False, code: str | None = None, next_step: str = "") -> None:
        super().__init__(message, code=code, next_step=next_step)
        self.may_be_written = writing


class NewAccessTokenRefused(AccessTokenRefused):
    """The API does not accept the access token that ServiceNow has just given either."""

    code = "new_access_token_refused"


class ServiceNowThrottled(TryLater):
    """ServiceNow answered 429."""

    code = "servicenow_throttled"


class StorageUnavailable(TryLater):
    """Table Storage or Key Vault did not answer."""

    code = "storage_unavailable"


class RowUnreadable(StorageUnavailable):
    """A stored row makes no sense to this release; a later one may be able to read it."""

    code = "row_unreadable"

    def __init__(self, table: str) -> None:
        super().__init__(
            f"A row in the table {table} cannot be read by this release; it was left as it is.",
            next_step="If an upgrade is under way, wait until it has ended. Otherwise see which row /api/status names, "
            "and deploy the release that wrote it.",
        )


class Reauthorize(ConnectorError):
    """The token endpoint no longer accepts the consent; an administrator authorizes the connection again."""

    code = "reauthorization_required"
    status = 409


class FixConfiguration(ConnectorError):
    """An administrator has to change something, in the connection or in ServiceNow."""

    code = "configuration_error"
    status = 502


class AccessRefused(FixConfiguration):
    """ServiceNow refuses the integration user."""

    code = "servicenow_access_refused"


class InstanceClosed(AccessRefused):
    """The way to the API is closed whatever is asked; this says nothing about the one request that met it."""

    def __init__(self, message: str, *, writing: bool = False, code: str | None = None, next_step: str = "") -> None:
        super().__init__(message, code=code, next_step=next_step)
        self.may_be_written = writing


class CrossScopeRefused(AccessRefused):
    """The table is closed to applications of other scopes, whatever roles the integration user has."""

    code = "cross_scope_refused"


class QueryRefused(AccessRefused):
    """ServiceNow does not let the integration user search in this way; another way may work."""

    code = "query_refused"


class RecordsHidden(AccessRefused):
    """ServiceNow has records that belong to the answer and shows none of them."""

    code = "records_not_visible"


class ValuesRefused(FixConfiguration):
    """ServiceNow does not accept the values of this record: a data policy or a business rule."""

    code = "servicenow_values_refused"
    status = 422


class MandatoryFieldsMissing(ValuesRefused):
    """ServiceNow demands fields that the record does not have."""

    code = "mandatory_fields_missing"


class FixRequest(ConnectorError):
    """The caller has to change the request."""

    code = "invalid_request"
    status = 400


class OurBug(ConnectorError):
    """Something that should not happen; the log holds the details."""
