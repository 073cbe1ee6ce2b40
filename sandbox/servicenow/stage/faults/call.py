"""A request in the hands of a fault, and what the application would have answered."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.servicenow.stage.faults.fault import Fault


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Call:
    """A request in the hands of a fault."""

    fault: Fault
    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send

    async def run(self) -> Answer:
        """Carry the request out and keep the answer back."""
        started: list[Message] = []
        chunks: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self.app(self.scope, self.receive, keep)
        return Answer(started[0]["status"], Headers(raw=started[0]["headers"]), b"".join(chunks))
