"""The faults of a request's body, named by their places."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from shared.errors import Fault, FixRequest

MAX_FAULTS: Final = 20
"""At most this number of faults of one request is listed."""
MAX_NAME_SHOWN: Final = 100


def invalid_body(code: str, error: ValidationError) -> FixRequest:
    """Return the 422 error that lists the faults of a body by their places, without repeating any value."""
    faults: list[Fault] = [
        {"pointer": _pointer(fault["loc"]), "detail": fault["msg"].removeprefix("Value error, ")}
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return FixRequest(
        f"The request has {len(faults)} fault(s); nothing was kept.",
        code=code,
        status=422,
        next_step="Correct the members named in errors and send the request again.",
        extra={"errors": faults[:MAX_FAULTS]},
    )


def _pointer(place: tuple[int | str, ...]) -> str:
    """Return a place in a JSON document as a JSON pointer (RFC 6901); an over-long member name is cut."""
    names = (str(name)[:MAX_NAME_SHOWN].replace("~", "~0").replace("/", "~1") for name in place)
    return "".join(f"/{name}" for name in names)
