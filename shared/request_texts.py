"""Texts that callers send: what they may contain, and how they are normalised."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from shared.request_faults import fault


def _printable(text: str) -> str:
    if any(
        (ord(character) < 32 and character not in "\n\r\t") or 0xD800 <= ord(character) < 0xE000 for character in text
    ):
        raise fault("control_characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _single_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise fault("not_a_line")
    return text


def _visible(text: str) -> str:
    if not text.isprintable():
        raise fault("not_a_line")
    return text


LINK: Final = r"^https?://[^\s/]+(/\S*)?$"
EMAIL: Final = r"^[^@\s]+@[^@\s]+$"

type Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_printable)]

type Line = Annotated[
    str, StringConstraints(strip_whitespace=True), AfterValidator(_printable), AfterValidator(_single_line)
]

LinkText = Annotated[
    Line, Field(max_length=1000, pattern=LINK), WithJsonSchema({"type": "string", "maxLength": 1000, "pattern": LINK})
]
EmailText = Annotated[
    Line, Field(max_length=100, pattern=EMAIL), WithJsonSchema({"type": "string", "maxLength": 100, "pattern": EMAIL})
]
"""pydantic leaves the pattern out of the JSON schema of a named type, so we give the schema as well."""

type Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_visible)]
GUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
TenantId = Annotated[str, Field(pattern=f"^{GUID}$")]
SysId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
