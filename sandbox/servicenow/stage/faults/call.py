"""A request that a fault handles, and the application's own answer to it."""

from dataclasses import dataclass, replace

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.servicenow.stage.faults.fault import Fault
from sandbox.servicenow.stage.faults.held import HeldRequests


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
    held: HeldRequests

    async def carry_out(self) -> None:
        """Carry out the request, now or, if the fault has `commit_after_s`, that much later."""
        if not self.fault.commit_after_s:
            await self.run()
            return
        later = replace(self, receive=replayed(await Request(self.scope, self.receive).body(), self.receive))
        self.held.add(self.fault.commit_after_s, later.run)

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


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a source of messages that gives a body which was already read, and then what `receive` gives."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
