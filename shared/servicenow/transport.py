"""The way to ServiceNow over :mod:`shared.outbound`: what the lack of an answer means, what is repeated and logged.

A read is repeated once or twice when ServiceNow stumbles; a write never is. Each request leaves one log record
``servicenow_request``, without address parameters, bodies or header values but ServiceNow's own transaction id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Final, Literal
from urllib.parse import urlsplit

from shared.clock import Clock, system_clock
from shared.errors import (
    AccessTokenRefused,
    AnswerEncoded,
    AnswerIncomplete,
    AnswerTooLarge,
    ConnectorError,
    InstanceBusy,
    InstanceHibernating,
    NoAnswerInTime,
    NoRoomForAnswer,
    QuotaExceeded,
    ServiceNowThrottled,
    ServiceNowUnavailable,
)
from shared.log import log_event
from shared.outbound.answers import Answer
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.repeating import read_again, short_wait
from shared.outbound.transport import Limits, Request, Transport
from shared.servicenow.answers import transaction_id_of, unusable_answer
from shared.servicenow.budgets import RequestBudgets, User
from shared.telemetry import RATE_LIMIT_WAIT, SERVICENOW_REQUESTS, Span, span
from shared.tickets.kinds import TicketTable
from shared.value_object import value_object

type Subject = (
    TicketTable
    | Literal[
        "task",
        "sys_user",
        "sys_user_group",
        "core_company",
        "sys_user_has_role",
        "sys_user_grmember",
        "sys_choice",
        "sys_dictionary",
        "sys_data_policy2",
        "sys_data_policy_rule",
        "sys_properties",
        "sys_db_object",
        "oauth_entity",
        "change_next_states",
        "current_user",
        "ui_meta",
        "reference_records",
        "greeting",
        "sign_in_page",
        "oauth_token",
        "oauth_revoke",
    ]
)
"""What a request is about, in the log, in metrics and in spans: a table, or the name of an endpoint. No
name from an answer may be used here: each new one would be its own time series, and could say anything."""

_NOT_WORTH_REPEATING: Final = (
    AccessTokenRefused,
    AnswerEncoded,
    AnswerTooLarge,
    InstanceBusy,
    InstanceHibernating,
    NoAnswerInTime,
    NoRoomForAnswer,
    QuotaExceeded,
)
"""Errors that a second request a moment later would only meet again, at ServiceNow's cost."""


@value_object
class ServiceNowRequest(Request):
    """A request to ServiceNow.

    Attributes:
        subject: What the log calls it.
        is_write: Whether it writes a record, so that an unclear outcome matters.
        user: Whose rate-limit rules count it; None if its access token is not a connection's own.
    """

    _: KW_ONLY
    subject: Subject
    is_write: bool = False
    user: User | None = None

    @property
    def sort(self) -> str:
        """What a rate-limit rule counts together."""
        return f"{self.method} {self.subject}"


class NotReached(ServiceNowUnavailable):
    """Nothing of the request left.

    Attributes:
        obstacle: Why.
    """

    def __init__(self, obstacle: Reason) -> None:
        super().__init__()
        self.obstacle = obstacle


class ServiceNowTransport:
    """Sends requests to ServiceNow; see the module's description."""

    def __init__(
        self,
        outbound: Transport,
        *,
        budgets: RequestBudgets | None = None,
        limits: Limits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Prepare.

        Args:
            budgets: What the rules of instances allow; None if nobody counts.
            limits: How many requests at once, and how long they may take.
        """
        self.clock = clock
        self._budgets = budgets
        self._outbound = outbound
        self._limits = limits or Limits()

    async def send[Result](
        self, request: ServiceNowRequest, interpret: Callable[[Answer], Result], *, total_s: float | None = None
    ) -> Result:
        """Send a request once and return what ``interpret`` makes of the answer.

        Args:
            request: The request.
            interpret: Reads the answer; a ConnectorError that it raises becomes the request's outcome in the log.
            total_s: Seconds for the whole exchange; by default what the limits say.

        Raises:
            RequestBudgetSpent: A rate-limit rule allows it only later; nothing was sent.
            OutcomeUnknown: A write went out and no usable answer came back.
            ServiceNowUnavailable: No usable answer; nothing was written.
            ConnectorError: Whatever ``interpret`` raises.
        """
        total_s = self._limits.total_s(request.method) if total_s is None else total_s
        if self._budgets is not None and request.user is not None:
            self._budgets.admit(request.user, request.sort)
        try:
            with span(request.sort, to="servicenow") as sent:
                result = await self._send(request, interpret, total_s, sent)
        except ConnectorError:
            await self._share(request)
            raise
        await self._share(request)
        return result

    async def _share(self, request: ServiceNowRequest) -> None:
        if self._budgets is not None and request.user is not None:
            await self._budgets.share(request.user)

    async def _send[Result](
        self, request: ServiceNowRequest, interpret: Callable[[Answer], Result], total_s: float, sent: Span
    ) -> Result:
        started = time.monotonic()
        answer: Answer | None = None
        outcome = "canceled"
        instance = "://".join(urlsplit(request.url)[:2])

        async def interpreted() -> Result:
            nonlocal answer
            try:
                async with self._outbound.exchange(request, self._limits, queue=instance, total_s=total_s) as answer:
                    if self._budgets is not None and request.user is not None:
                        self._budgets.learn(request.user, request.sort, answer)
                    return interpret(answer)
            except NoAnswer as failure:
                reason = failure.reason
            raise _error_without_answer(reason, writing=request.is_write)

        try:
            result = await interpreted()
            outcome = "ok"
        except ConnectorError as error:
            outcome = error.code
            if isinstance(error, ServiceNowThrottled):
                RATE_LIMIT_WAIT.record(error.retry_after_s or 0.0)
            raise
        finally:
            status = answer.status if answer is not None else None
            transaction_id = transaction_id_of(answer) if answer is not None else None
            SERVICENOW_REQUESTS.record(table=request.subject, outcome=outcome)
            sent.note(table=request.subject, status=status, outcome=outcome, transaction_id=transaction_id)
            log_event(
                "servicenow_request",
                method=request.method,
                table=request.subject,
                status=status,
                outcome=outcome,
                duration_s=time.monotonic() - started,
                transaction_id=transaction_id,
            )
        return result

    async def read[Result](self, request: ServiceNowRequest, interpret: Callable[[Answer], Result]) -> Result:
        """Send a GET; repeat it once or twice after a short random wait if ServiceNow stumbles.

        Raises:
            ServiceNowUnavailable, ServiceNowThrottled: The last attempt had no usable answer either.
            ConnectorError: Whatever ``interpret`` raises.
        """
        assert request.method == "GET", "only a GET may be repeated"
        return await read_again(
            lambda left_s: self.send(request, interpret, total_s=left_s),
            total_s=self._limits.total_s(request.method),
            wait_before_repeating=_wait_before_repeating,
        )


def _error_without_answer(reason: Reason, *, writing: bool) -> ServiceNowUnavailable:
    match reason:
        case Reason.HOST_UNKNOWN | Reason.CERTIFICATE_REFUSED | Reason.NO_CONNECTION:
            return NotReached(reason)
        case Reason.NO_TURN:
            return InstanceBusy()
        case Reason.TIMEOUT:
            error: ServiceNowUnavailable = NoAnswerInTime()
        case Reason.BROKEN:
            error = ServiceNowUnavailable(variant="broken")
        case Reason.CUT_OFF:
            error = AnswerIncomplete()
        case Reason.TOO_LARGE:
            error = AnswerTooLarge()
        case Reason.ENCODED:
            error = AnswerEncoded()
        case Reason.NO_ROOM:
            error = NoRoomForAnswer()
    return unusable_answer(error, writing=writing)


def _wait_before_repeating(error: Exception) -> bool | float:
    """Return whether to repeat a read, or after how many seconds."""
    if isinstance(error, ServiceNowThrottled):
        return short_wait(error.retry_after_s)
    return isinstance(error, ServiceNowUnavailable) and not isinstance(error, _NOT_WORTH_REPEATING)
