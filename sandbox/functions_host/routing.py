"""Finds the function for a path: templates, constraints, and the decoding of paths (Functions host §1). Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


class TemplateError(ValueError):
    """A route template that the host cannot parse; the whole host refuses to run (Functions host §R24, §R25)."""


class BadPathError(ValueError):
    """A path that the server refuses with 400 (Functions host §R39)."""


# --- paths ---------------------------------------------------------------------------------------------------------

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def decode_path(raw: str) -> str:
    """Decode a path as it was sent and resolve its dot segments (Functions host §R30 to §R40).

    ``%2F`` stays as sent, and so does everything that is not UTF-8 or not an escape.

    Raises:
        BadPathError: It holds NUL or bytes beyond ASCII.
    """
    if not raw.isascii() or "\0" in raw:
        raise BadPathError(raw)
    decoded = _ESCAPES.sub(lambda found: decode_escapes(found[0], keep="/"), raw)
    if "\0" in decoded:
        raise BadPathError(raw)
    return _without_dot_segments(decoded)


def decode_escapes(escapes: str, keep: str = "") -> str:
    """Decode a run of ``%XX``; characters in ``keep`` and bytes that are not UTF-8 stay as written."""
    values = bytes.fromhex(escapes.replace("%", ""))
    text: list[str] = []
    at = 0
    while at < len(values):
        character, width = _first_character(values[at : at + 4])
        if character and character not in keep:
            text.append(character)
        else:
            text.append(escapes[3 * at : 3 * (at + width)])
        at += width
    return "".join(text)


def _first_character(values: bytes) -> tuple[str, int]:
    """Return the first character and its length in bytes; ("", 1) if it is not UTF-8."""
    for width in range(1, len(values) + 1):
        try:
            return values[:width].decode(), width
        except UnicodeDecodeError:
            continue
    return "", 1


def decode_text(text: str) -> str:
    """Decode every escape of a query's name or value, ``+`` included (Functions host §Q12)."""
    return _ESCAPES.sub(lambda found: decode_escapes(found[0]), text.replace("+", " "))


def _without_dot_segments(path: str) -> str:
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    ends_open = segments[-1] in (".", "..")
    return "/" + "/".join(kept) + ("/" if ends_open and kept else "")


# --- constraints ---------------------------------------------------------------------------------------------------

type Constraint = Callable[[str], bool]


def _integer(bits: int) -> Constraint:
    limit = 2 ** (bits - 1)
    shape = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
    return lambda value: shape.fullmatch(value) is not None and -limit <= int(value) < limit


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return re.fullmatch(r"[0-9a-f]{32}|[{(]?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[)}]?", value, re.I) is not None


def _is_decimal(value: str) -> bool:
    try:
        return Decimal(value.replace(",", "")).is_finite()
    except InvalidOperation:
        return False


def _pattern(expression: str) -> Constraint:
    try:
        compiled = re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise TemplateError(f"the expression {expression!r} is malformed: {error}") from error
    return lambda value: compiled.search(value) is not None


def _length(low: int, high: int | None = None) -> Constraint:
    return lambda value: low <= len(value) <= (low if high is None else high)


def _between(low: int | None, high: int | None) -> Constraint:
    is_long = _integer(64)
    return lambda value: is_long(value) and (low is None or low <= int(value)) and (high is None or int(value) <= high)


_PLAIN: Mapping[str, Constraint] = {
    "int": _integer(32),
    "long": _integer(64),
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "guid": _is_guid,
    "decimal": _is_decimal,
    "double": _is_decimal,
    "float": _is_decimal,
    "alpha": re.compile(r"[a-z]*", re.IGNORECASE | re.ASCII).fullmatch,  # type: ignore[dict-item]
    "required": bool,
}
_WITH_NUMBERS: Mapping[str, tuple[Callable[..., Constraint], tuple[int, ...]]] = {
    "length": (_length, (1, 2)),
    "minlength": (lambda low: lambda value: len(value) >= low, (1,)),
    "maxlength": (lambda high: lambda value: len(value) <= high, (1,)),
    "min": (lambda low: _between(low, None), (1,)),
    "max": (lambda high: _between(None, high), (1,)),
    "range": (_between, (2,)),
}


def _constraint(text: str) -> Constraint:
    name, has_arguments, arguments = text.partition("(")
    if has_arguments and not arguments.endswith(")"):
        raise TemplateError(f"the constraint {text!r} is not closed")
    arguments = arguments.removesuffix(")")
    if name == "regex" and has_arguments:
        return _pattern(arguments)
    if name in _PLAIN and not has_arguments:
        return _PLAIN[name]
    make, counts = _WITH_NUMBERS.get(name, (None, ()))
    numbers = [number.strip() for number in arguments.split(",")]
    if make is None or len(numbers) not in counts or not all(re.fullmatch(r"-?[0-9]+", number) for number in numbers):
        raise TemplateError(f"the constraint {text!r} is unknown or malformed")
    return make(*map(int, numbers))


# --- templates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """``{name}`` in a template, with what may follow the name."""

    name: str
    is_catch_all: bool = False
    is_optional: bool = False
    default: str | None = None
    constraints: tuple[Constraint, ...] = ()

    @property
    def may_be_absent(self) -> bool:
        """Whether the template matches a path that ends before this parameter."""
        return self.is_optional or self.is_catch_all or self.default is not None


type Segment = Sequence[str | Parameter]
"""The part between two slashes: literal text and parameters, never two parameters side by side."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed route, including the prefix."""

    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse a route.

        Raises:
            TemplateError: It is malformed.
        """
        text = text.removeprefix("/")
        segments = tuple(_segment(part) for part in _split_segments(text)) if text else ()
        parameters = [part for segment in segments for part in segment if isinstance(part, Parameter)]
        names = [parameter.name.lower() for parameter in parameters]
        if len(set(names)) != len(names):
            raise TemplateError("a parameter appears twice")
        for segment in segments[:-1]:
            if any(isinstance(part, Parameter) and part.is_catch_all for part in segment):
                raise TemplateError("a catch-all parameter must be the last segment")
        return cls(segments)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route parameters of a decoded path, or None if it does not match.

        The result leaves out absent optional parameters (Functions host §R15).
        """
        pieces = path.removeprefix("/").removesuffix("/").split("/") if path not in ("", "/") else []
        values: dict[str, str] = {}
        offset = 1
        for position, piece in enumerate(pieces):
            if not piece or position >= len(self.segments):
                return None
            segment = self.segments[position]
            if len(segment) == 1 and isinstance(parameter := segment[0], Parameter) and parameter.is_catch_all:
                values[parameter.name] = path[offset:]
                break
            found = _match_segment(segment, piece)
            if found is None:
                return None
            values.update(found)
            offset += len(piece) + 1
        else:
            for segment in self.segments[len(pieces) :]:
                if len(segment) != 1 or not isinstance(segment[0], Parameter) or not segment[0].may_be_absent:
                    return None
        return self._completed(values)

    def _completed(self, values: dict[str, str]) -> dict[str, str] | None:
        for segment in self.segments:
            for part in segment:
                if isinstance(part, str):
                    continue
                if part.name in values:
                    if not all(holds(values[part.name]) for holds in part.constraints):
                        return None
                elif part.default is not None:
                    values[part.name] = part.default
        return values


def _split_segments(text: str) -> list[list[str | Parameter]]:
    """Read a template character by character: literal text, ``{{`` and ``}}``, parameters, slashes."""
    segments: list[list[str | Parameter]] = [[]]
    literal = ""
    at = 0

    def end_literal() -> None:
        nonlocal literal
        if literal:
            segments[-1].append(literal)
        literal = ""

    while at < len(text):
        character, pair = text[at], text[at : at + 2]
        if pair in ("{{", "}}"):
            literal += character
            at += 2
        elif character == "{":
            end_literal()
            inside, at = _until_closing_brace(text, at + 1)
            segments[-1].append(_parameter(inside))
        elif character == "/":
            end_literal()
            segments.append([])
            at += 1
        elif character in "}?":
            raise TemplateError(f"{character!r} is not allowed in literal text")
        else:
            literal += character
            at += 1
    end_literal()
    if not segments[-1]:
        segments.pop()
    return segments


def _until_closing_brace(text: str, at: int) -> tuple[str, int]:
    inside = ""
    while at < len(text):
        pair = text[at : at + 2]
        if pair in ("{{", "}}"):
            inside += pair[0]
            at += 2
        elif text[at] == "}":
            return inside, at + 1
        elif text[at] == "{":
            break
        else:
            inside += text[at]
            at += 1
    raise TemplateError("a parameter's braces are not closed")


_PARAMETER = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[^/{}?*:=]+)"
    r"(?P<constraints>(?::[^:=?(/]+(?:\(.*?\)(?=$|[:=?]))?)*)"
    r"(?:=(?P<default>.*)|(?P<optional>\?))?",
    re.DOTALL,
)
_CONSTRAINT = re.compile(r":([^:=?(/]+(?:\(.*?\)(?=$|:))?)", re.DOTALL)


def _parameter(text: str) -> Parameter:
    found = _PARAMETER.fullmatch(text)
    if found is None:
        raise TemplateError(f"the parameter {{{text}}} is malformed")
    is_catch_all, is_optional = bool(found["stars"]), found["optional"] is not None
    if is_catch_all and is_optional:
        raise TemplateError("a catch-all parameter cannot be optional")
    constraints = tuple(_constraint(constraint) for constraint in _CONSTRAINT.findall(found["constraints"]))
    return Parameter(found["name"], is_catch_all, is_optional, found["default"], constraints)


def _segment(parts: list[str | Parameter]) -> Segment:
    if not parts:
        raise TemplateError("two slashes follow each other")
    for position, part in enumerate(parts):
        if isinstance(part, str):
            continue
        if part.is_catch_all and len(parts) > 1:
            raise TemplateError("a catch-all parameter cannot share its segment")
        if part.is_optional and len(parts) > 1:
            raise TemplateError("an optional parameter cannot share its segment")
        if position and isinstance(parts[position - 1], Parameter):
            raise TemplateError("two parameters follow each other")
    return tuple(parts)


def _match_segment(segment: Segment, piece: str) -> dict[str, str] | None:
    if len(segment) == 1:
        part = segment[0]
        if isinstance(part, Parameter):
            return {part.name: piece}
        return {} if part.lower() == piece.lower() else None
    expression = "".join(re.escape(part) if isinstance(part, str) else "(.+)" for part in segment)
    found = re.fullmatch(expression, piece, re.IGNORECASE | re.DOTALL)
    if found is None:
        return None
    names = (part.name for part in segment if isinstance(part, Parameter))
    return dict(zip(names, found.groups(), strict=True))
