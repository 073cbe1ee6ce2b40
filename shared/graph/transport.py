"""The way to Microsoft Graph over :mod:`shared.outbound`: what a missing answer means, what is repeated and logged.

Only reads go this way, and each is repeated once or twice when Microsoft Graph stumbles. Each request leaves one log
record ``graph_request``, without address parameters, bodies or header values but the ids that Microsoft's support asks
for.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, replace
from typing import Final, Literal

from shared.clock import Clock, system_clock
from shared.errors import (
    ConnectorError,
    GraphAnswerTooLarge,
    GraphBusy,
    GraphThrottled,
    GraphTimeout,
    GraphUnavailable,
)
from shared.graph.answers import Page, data_center_of, page_of, request_id_of
from shared.log import log_event
from shared.outbound.answers import Answer
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.repeating import read_again, short_wait
from shared.outbound.transport import Limits, Request, Transport
from shared.telemetry import GRAPH_REQUESTS, GRAPH_THROTTLED_WAIT, Span, span
from shared.value_object import value_object

type ListName = Literal["secureScores", "secureScoreControlProfiles"]
"""A list, as its address names it; also in the log, in metrics and in spans."""

REQUESTS_AT_ONCE: Final = 4
"""In one tenant (Microsoft Graph §3.1)."""

_HEADERS: Final[Mapping[str, str]] = {
    # Whether Microsoft Graph translates texts is NOT FOUND (Microsoft Graph §1.3).
    "Accept-Language": "en-US",
    # Some 503 only end on another connection (Microsoft Graph §3.2), and a reading has few requests.
    "Connection": "close",
    "return-client-request-id": "true",
}
_NOT_WORTH_REPEATING: Final = (GraphAnswerTooLarge, GraphBusy, GraphTimeout)
"""Errors that a second request a moment later would only meet again."""
_FIRST_WAIT_S: Final = 2.0
_LONGEST_WAIT_S: Final = 8.0


@value_object
class GraphRequest(Request):
    """A request for a part of a list.

    Attributes:
        tenant_id: Whose list; requests of one tenant share a queue.
    """

    _: KW_ONLY
    tenant_id: str
    list_name: ListName


class GraphTransport:
    """Sends requests to Microsoft Graph; see the module's description."""

    def __init__(self, outbound: Transport, *, limits: Limits | None = None, clock: Clock = system_clock) -> None:
        self._outbound = outbound
        self._limits = replace(limits or Limits(), at_once=REQUESTS_AT_ONCE)
        self._clock = clock

    async def read[Result](self, request: GraphRequest, interpret: Callable[[Page], Result]) -> Result:
        """Send a GET and return what ``interpret`` makes of the page, while the memory for it is reserved.

        It is repeated once or twice, after as long as Microsoft Graph asks for if that is a few seconds, and otherwise
        after a random wait that doubles.

        Raises:
            GraphUnavailable, GraphThrottled: The last attempt had no usable answer either.
            ConnectorError: Whatever :func:`shared.graph.answers.page_of` or ``interpret`` raises.
        """
        return await read_again(
            lambda left_s: self._read_once(request, interpret, left_s),
            total_s=self._limits.total_s(request.method),
            wait_before_repeating=_wait_before_repeating,
            first_wait_s=_FIRST_WAIT_S,
            longest_wait_s=_LONGEST_WAIT_S,
        )

    async def _read_once[Result](
        self, request: GraphRequest, interpret: Callable[[Page], Result], total_s: float
    ) -> Result:
        with span(f"{request.method} {request.list_name}", to="microsoft_graph") as sent:
            return await self._logged(request, interpret, total_s, sent)

    async def _logged[Result](
        self, request: GraphRequest, interpret: Callable[[Page], Result], total_s: float, sent: Span
    ) -> Result:
        started = time.monotonic()
        client_request_id = str(uuid.uuid4())
        identified = replace(request, headers={**_HEADERS, "client-request-id": client_request_id})
        answer: Answer | None = None
        outcome = "canceled"

        async def interpreted() -> tuple[Result, bool]:
            nonlocal answer
            queue = f"graph:{request.tenant_id}"
            try:
                async with self._outbound.exchange(identified, self._limits, queue=queue, total_s=total_s) as answer:
                    page = page_of(answer, self._clock())
                    return interpret(page), page.is_complete
            except NoAnswer as failure:
                reason = failure.reason
            raise _error_without_answer(reason)

        try:
            result, is_complete = await interpreted()
            outcome = "ok" if is_complete else "partial"
        except ConnectorError as error:
            outcome = error.code
            if isinstance(error, GraphThrottled):
                GRAPH_THROTTLED_WAIT.record(error.retry_after_s or 0.0, tenant_id=request.tenant_id)
            raise
        finally:
            status = answer.status if answer is not None else None
            graph_request_id = request_id_of(answer) if answer is not None else None
            GRAPH_REQUESTS.record(tenant_id=request.tenant_id, list=request.list_name, outcome=outcome)
            sent.note(list=request.list_name, status=status, outcome=outcome, graph_request_id=graph_request_id)
            log_event(
                "graph_request",
                tenant_id=request.tenant_id,
                method=request.method,
                list=request.list_name,
                status=status,
                outcome=outcome,
                duration_s=time.monotonic() - started,
                graph_request_id=graph_request_id,
                client_request_id=client_request_id,
                data_center=data_center_of(answer) if answer is not None else None,
            )
        return result


def _error_without_answer(reason: Reason) -> GraphUnavailable:
    match reason:
        case Reason.HOST_UNKNOWN | Reason.ADDRESS_NOT_PUBLIC | Reason.CERTIFICATE_REFUSED | Reason.NO_CONNECTION:
            return GraphUnavailable()
        case Reason.NO_TURN | Reason.NO_ROOM:
            return GraphBusy()
        case Reason.TIMEOUT:
            return GraphTimeout()
        case Reason.BROKEN:
            return GraphUnavailable(variant="broken")
        case Reason.CUT_OFF:
            return GraphUnavailable("graph_answer_unusable")
        case Reason.TOO_LARGE:
            return GraphAnswerTooLarge()
        case Reason.ENCODED:
            return GraphUnavailable("graph_answer_unusable", variant="encoded")


def _wait_before_repeating(error: Exception) -> bool | float:
    """Return whether to repeat a read, or after how many seconds."""
    if isinstance(error, GraphThrottled) and error.retry_after_s is not None:
        return short_wait(error.retry_after_s)
    return isinstance(error, GraphUnavailable | GraphThrottled) and not isinstance(error, _NOT_WORTH_REPEATING)
