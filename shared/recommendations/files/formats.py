"""What kind of file somebody has sent, by its first bytes; a file's name proves nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from shared.errors import FixRequest

MAX_FILE_BYTES: Final = 5 * 1024 * 1024
"""Largest file that is accepted."""

_ZIP: Final = b"PK"
_OLE: Final = b"\xd0\xcf\x11\xe0"
"""Compound File Binary: the format of Excel before 2007, and of a newer workbook behind a password."""
_MARKUP: Final = (b"<", b"\xef\xbb\xbf<")


class FileFormat(StrEnum):
    """A file that we can read."""

    COMPLIANCE_WORKBOOK = "compliance_workbook"
    """The workbook of Compliance Manager (Microsoft Graph §4.2)."""
    SECURE_SCORE_LIST = "secure_score_list"
    """The list of recommended actions that the Defender portal exports (Microsoft Graph §1.9)."""


def format_of(content: bytes) -> FileFormat:
    """Return the kind of a file.

    Raises FixRequest (422 ``file_unreadable``) for an empty file, a web page, and a workbook that is old or encrypted.
    """
    if not content.strip():
        raise FixRequest("file_unreadable", status=422, variant="empty")
    if content.startswith(_OLE):
        raise FixRequest("file_unreadable", status=422, variant="old_workbook")
    if content.lstrip().startswith(_MARKUP):
        raise FixRequest("file_unreadable", status=422, variant="markup")
    return FileFormat.COMPLIANCE_WORKBOOK if content.startswith(_ZIP) else FileFormat.SECURE_SCORE_LIST
