"""The faults in a request's body, by place and code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from shared.error_codes import Code, OwnFaultCode
from shared.errors import Fault, FixRequest

MAX_FAULTS: Final = 20
"""List at most this many faults of one request."""
MAX_NAME_SHOWN: Final = 100

_OF_A_NAME: Final = "[key]"
"""Ends pydantic's location of a member whose name is wrong."""
_VALUES: Final = ("expected", "ge", "le", "limit", "max_length", "min_length", "pattern")
"""The parts of pydantic's context that describe the rule, not the value that broke it."""

_SAME_RULE: Final[Mapping[str, str]] = {
    "dataclass_type": "model_type",
    "unexpected_keyword_argument": "extra_forbidden",
}
"""Callers should not see whether a part of the body is read into a model or a dataclass."""


def fault(code: OwnFaultCode, **values: int) -> PydanticCustomError:
    """Return the error with which our validators refuse a value.

    Args:
        values: The limits that the value has to respect.
    """
    return PydanticCustomError(code, code, values)


def read_body[Model: BaseModel](refusal: Code, model: type[Model], body: object) -> Model:
    """Read a request's body from its JSON value.

    Raises:
        FixRequest: 422 with this code, and one entry for each fault, which does not repeat the value.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise _refused(refusal, error) from None


def _refused(code: Code, error: ValidationError) -> FixRequest:
    faults: list[Fault] = [
        {
            "pointer": _pointer(each["loc"]),
            "code": _SAME_RULE.get(each["type"], each["type"]),
            "values": _rule(each.get("ctx", {})),
        }
        for each in error.errors(include_url=False, include_input=False)
    ]
    return refused(code, faults)


def refused(code: Code, faults: Sequence[Fault]) -> FixRequest:
    """Return the refusal (422) of a body with these faults."""
    return FixRequest(code, status=422, count=len(faults), errors=faults[:MAX_FAULTS])


def _rule(context: Mapping[str, object]) -> Mapping[str, str | int]:
    """Return the limits that a value has to respect."""
    rule = {name: value for name in _VALUES if isinstance(value := context.get(name), str | int)}
    if isinstance(choices := rule.get("expected"), str):
        rule["expected"] = choices.replace(" or ", ", ")  # The choices must not contain an English word.
    return rule


def _pointer(place: tuple[int | str, ...]) -> str:
    """Return a place in a JSON document as a JSON pointer (RFC 6901); long member names are shortened."""
    names = (str(name)[:MAX_NAME_SHOWN].replace("~", "~0").replace("/", "~1") for name in place if name != _OF_A_NAME)
    return "".join(f"/{name}" for name in names)
