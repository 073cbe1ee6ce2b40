"""What passes between the host and its worker: plain values that survive a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

type SysPathOrder = Literal["development", "managed"]
"""Where the app's folder is in the worker's ``sys.path``: last (Functions host §S5) or first (§S6)."""


@dataclass(frozen=True, slots=True)
class FunctionMetadata:
    """One function as the worker indexed it.

    ``bindings`` holds each binding's JSON object as the decorators wrote it, including the trigger's.
    """

    name: str
    function_id: str
    bindings: tuple[Mapping[str, Any], ...]

    @property
    def trigger(self) -> Mapping[str, Any]:
        """The binding that starts the function.

        Raises:
            StopIteration: The function has none; the worker refuses such a function before it gets here.
        """
        return next(binding for binding in self.bindings if str(binding["type"]).lower().endswith("trigger"))


@dataclass(frozen=True, slots=True)
class Index:
    """The result of indexing an app folder: its functions, or why there are none."""

    functions: tuple[FunctionMetadata, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class HttpInput:
    """An HTTP request as the function will see it."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route_params: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class TimerInput:
    """A timer's firing; ``schedule_status`` has ``Last``, ``Next``, ``LastUpdated``; None without a monitor."""

    is_past_due: bool = False
    schedule_status: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TypedText:
    """A value of an invocation's metadata: text, or the text of JSON."""

    kind: Literal["string", "json"]
    text: str


@dataclass(frozen=True, slots=True)
class QueueInput:
    """A queue's message as the function will see it (Storage Queue §6)."""

    text: str
    metadata: Mapping[str, TypedText]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of one function."""

    invocation_id: str
    function_id: str
    parameter: str
    """The name of the handler's parameter for the trigger."""
    input: HttpInput | TimerInput | QueueInput
    trace_parent: str = ""
    trace_state: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie after the worker has parsed the function's ``Set-Cookie`` (Functions host §P20)."""

    name: str
    value: str
    domain: str | None = None
    path: str | None = None
    expires_s: int | None = None
    """Seconds since 1970."""
    max_age_s: float | None = None
    secure: bool = False
    http_only: bool = False
    same_site: str | None = None
    """``lax``, ``strict``, ``none``, or None when the function gave none."""


@dataclass(frozen=True, slots=True)
class HttpOutput:
    """An ``HttpResponse`` after the worker has read it; ``status`` is text, as on the worker's wire."""

    status: str
    headers: Mapping[str, str]
    cookies: tuple[Cookie, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class TextOutput:
    """The function returned a ``str``."""

    text: str


@dataclass(frozen=True, slots=True)
class NoOutput:
    """The function returned nothing that the host can use."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, returned something unusable, or its worker was lost."""

    message: str
    stack_trace: str = field(default="", repr=False)


type Outcome = HttpOutput | TextOutput | NoOutput | Failed


class WorkerDiedError(Exception):
    """The worker ended before it answered (Functions host §C8)."""
