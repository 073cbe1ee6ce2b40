"""A request that a fault handles, and the application's own answer to it."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.servicenow.stage.faults.fault import Fault


@dataclass(frozen=True)
class Answer:
    """The application's answer."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Call:
    """A request that a fault handles."""

    fault: Fault
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    async def run(self) -> Answer:
        """Carry out the request without sending the answer."""
        started: list[Message] = []
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        return Answer(started[0]["status"], Headers(raw=started[0]["headers"]), b"".join(chunks))
