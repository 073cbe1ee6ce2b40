"""Sends messages to a Teams workflow or a signed webhook, each once, and says what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final

from shared.clock import Clock
from shared.outbound.answers import Answer
from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.transport import Limits, Request, Transport
from shared.reminders.addresses import host_of
from shared.reminders.links import Links
from shared.reminders.model import Message, Receiver, Result, ResultCode
from shared.reminders.views import ReminderEvent, said
from shared.secret import Secret
from shared.service import service
from shared.telemetry import span
from shared.webhooks.cards import card_message
from shared.webhooks.signing import signed_headers

LIMITS: Final = Limits(at_once=2, turn_s=3.0, connect_s=5.0, post_s=15.0, post_total_s=15.0)
"""The time that a receiver is recommended to have (Webhooks §W7)."""

_OF_STATUS: Final[Mapping[int, ResultCode]] = {
    HTTPStatus.BAD_REQUEST: ResultCode.CONTENT_REFUSED,
    HTTPStatus.UNAUTHORIZED: ResultCode.SIGNATURE_REFUSED,
    HTTPStatus.FORBIDDEN: ResultCode.SIGNATURE_REFUSED,
    HTTPStatus.NOT_FOUND: ResultCode.GONE,
    HTTPStatus.GONE: ResultCode.GONE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ResultCode.TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY: ResultCode.CONTENT_REFUSED,
    HTTPStatus.TOO_MANY_REQUESTS: ResultCode.THROTTLED,
}
_OF_REASON: Final[Mapping[Reason, ResultCode]] = {
    Reason.HOST_UNKNOWN: ResultCode.HOST_UNKNOWN,
    Reason.ADDRESS_NOT_PUBLIC: ResultCode.ADDRESS_NOT_PUBLIC,
    Reason.CERTIFICATE_REFUSED: ResultCode.CERTIFICATE_REFUSED,
    Reason.NO_CONNECTION: ResultCode.NO_CONNECTION,
    Reason.NO_TURN: ResultCode.NO_CONNECTION,
}
_TURNED_OFF: Final = frozenset({"WorkflowTriggerIsNotEnabled", "WorkflowNotFound"})
"""What a workflow that does not exist any more answers with a 400 (Webhooks §T5)."""


@service
class WebhookSender:
    """Implements :class:`shared.reminders.ports.MessageSender`.

    Attributes:
        allowed_hosts: Hosts that may be in a private network.
    """

    outbound: Transport
    links: Links
    clock: Clock
    allowed_hosts: Collection[str] = ()

    async def send(self, message: Message, address: Secret, signing_secret: Secret | None) -> Result:
        """See the port."""
        now = self.clock()
        headers: Mapping[str, str] = {}
        if message.receiver is Receiver.TEAMS:
            body = card_message(said(message.content, self.links))
        elif signing_secret is None:
            return Result(ResultCode.ADDRESS_MISSING)
        else:
            body = ReminderEvent.of(message, self.links).model_dump_json().encode()
            headers = signed_headers(signing_secret, message.message_id, int(now.timestamp()), body)
        host = host_of(address)
        request = Request(
            method="POST",
            url=address.reveal(),
            document=body,
            headers=headers,
            public_only=host not in self.allowed_hosts,
            needs_body=False,
        )
        # The address is a secret, and without a span of our own libraries would record it.
        with span(f"POST {message.receiver}", to=message.receiver.value) as sent:
            try:
                async with self.outbound.exchange(
                    request, LIMITS, queue=f"webhook:{host}", total_s=LIMITS.post_total_s
                ) as answer:
                    result = _result(answer, now)
            except NoAnswer as error:
                result = Result(_OF_REASON.get(error.reason, ResultCode.NO_ANSWER))
            if not result.is_delivered:
                sent.failed(result.code)
            return result


def _result(answer: Answer, now: datetime) -> Result:
    status = answer.status
    if 200 <= status < 300:
        code = ResultCode.ACCEPTED
    elif 300 <= status < 400:
        code = ResultCode.REDIRECTED
    elif status == HTTPStatus.BAD_REQUEST and _error_code(answer) in _TURNED_OFF:
        code = ResultCode.GONE
    else:
        code = _OF_STATUS.get(status, ResultCode.FAILED)
    return Result(code, status, answer.retry_after_s(now))


def _error_code(answer: Answer) -> object:
    error = (answer.document() or {}).get("error")
    return error.get("code") if isinstance(error, Mapping) else None
