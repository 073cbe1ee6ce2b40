"""Stand-ins for the messages that Microsoft's worker and host exchange as protocol buffers.

``azure-functions-runtime`` takes the namespace of its messages as an argument. It only constructs them and reads
their attributes, so plain classes of the same names are enough. Only what the library uses is here.
"""

from __future__ import annotations

from typing import Any


class Message:
    """A message whose fields are its constructor's arguments."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")


class TypedData(Message):
    """A value of one of several kinds; exactly one field is set."""

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the name protocol buffers use
        """Return the name of the value's kind."""
        return next(iter(self.__dict__), None)


class ParameterBinding(Message):
    """A named argument of an invocation."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the name protocol buffers use
        """Say that the argument travels in the message, not in shared memory."""
        return "data"


class BindingInfo(Message):
    """A binding's kind and direction."""

    out = 1
    inout = 2
    undefined = 0


class StatusResult(Message):
    """Success or failure with its exception."""

    Failure = 0
    Success = 1


class RpcHttp(Message):
    """An HTTP request or response."""


class RpcHttpCookie(Message):
    """A cookie."""

    class SameSite:
        """The worker's names for the attribute; ``None`` stands for "not given"."""

        Lax = "lax"
        Strict = "strict"
        ExplicitNone = "none"


setattr(RpcHttpCookie.SameSite, "None", None)


class NullableString(Message):
    """Text that may be absent."""


class NullableBool(Message):
    """A truth value that may be absent."""


class NullableDouble(Message):
    """A number that may be absent."""


class NullableTimestamp(Message):
    """A time that may be absent."""


class Timestamp(Message):
    """Seconds since 1970."""


class RpcException(Message):
    """An exception's message and stack trace."""


class RpcFunctionMetadata(Message):
    """An indexed function."""


class RpcRetryOptions(Message):
    """A function's retry policy."""


class WorkerMetadata(Message):
    """The worker's version."""


class WorkerInitResponse(Message):
    """The answer to the start of a worker."""


class FunctionMetadataResponse(Message):
    """The answer to the request for functions."""


class InvocationResponse(Message):
    """The answer to a call."""
