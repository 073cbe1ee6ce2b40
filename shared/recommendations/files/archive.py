"""The bounds of a workbook's archive (ZIP). They are checked before its contents are used.

Whoever reads the archive afterwards uses the same :mod:`zipfile`, so both see the same parts.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Sequence
from typing import Final

from shared.errors import FixRequest

MAX_PARTS: Final = 200
MAX_UNPACKED_BYTES: Final = 48 * 1024 * 1024
"""Of all parts together. A workbook with 5,000 actions has 10 to 16 MiB."""
MAX_OTHER_PART_BYTES: Final = 1024 * 1024
"""Of a part that is neither a sheet nor the shared strings: such parts are parsed as a whole."""
MAX_RATIO: Final = 200
"""Unpacked to packed; exports have up to 15, the worst that deflate can do is 1,032."""
MAX_TAGS: Final = 4_000_000
"""Opening and closing XML tags in all parts: they decide how long parsing takes, and how much memory it needs."""

_CHUNK_BYTES: Final = 256 * 1024
_LARGE_PART: Final = re.compile(r"xl/(worksheets/[^/]+|sharedStrings)\.xml", re.IGNORECASE)
_UNSAFE_NAME: Final = re.compile(r"^[/~]|\\|:|(^|/)\.\.?(/|$)|[\x00-\x1f]")
_NESTED_NAME: Final = re.compile(r"\.(zip|xls[xmb]?|doc[xm]?|ppt[xm]?|7z|rar|gz|tar|jar)$", re.IGNORECASE)
_MACROS: Final = re.compile(r"(^|/)vba\w*\.bin$|(^|/)macrosheets/", re.IGNORECASE)
_ENCRYPTED: Final = 0x1
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OverflowError, OSError)
"""What :mod:`zipfile` raises for a damaged archive; it promises only the first."""


def check_archive(content: bytes) -> None:
    """Refuse an archive that is damaged, unsafe, or larger than any export.

    Raises FixRequest (422 ``file_unreadable``); the variant says why.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            _check_directory(parts)
            tags = 0
            for part in parts:
                tags += _tags_in(archive, part)
                if tags > MAX_TAGS:
                    raise FixRequest("file_unreadable", status=422, variant="too_large_unpacked")
    except _BROKEN:
        raise FixRequest("file_unreadable", status=422, variant="damaged") from None


def _check_directory(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Check what the archive says about its parts."""
    if len(parts) > MAX_PARTS:
        raise FixRequest("file_unreadable", status=422, variant="too_many_parts", limit=MAX_PARTS)
    names = [part.filename for part in parts]
    if any(_UNSAFE_NAME.search(name) for name in names) or len({name.casefold() for name in names}) < len(names):
        raise FixRequest("file_unreadable", status=422, variant="unsafe_name")
    if any(part.flag_bits & _ENCRYPTED for part in parts):
        raise FixRequest("file_unreadable", status=422, variant="encrypted")
    if any(_MACROS.search(name) for name in names):
        raise FixRequest("file_unreadable", status=422, variant="macros")
    if any(_NESTED_NAME.search(name) for name in names):
        raise FixRequest("file_unreadable", status=422, variant="nested")
    if any(part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for part in parts):
        raise FixRequest("file_unreadable", status=422, variant="damaged")
    if sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES or any(_is_too_large(part) for part in parts):
        raise FixRequest("file_unreadable", status=422, variant="too_large_unpacked")


def _is_too_large(part: zipfile.ZipInfo) -> bool:
    if part.file_size <= _CHUNK_BYTES:
        return False
    is_outside = part.file_size > MAX_OTHER_PART_BYTES and not _LARGE_PART.fullmatch(part.filename)
    return is_outside or part.file_size > MAX_RATIO * part.compress_size


def _tags_in(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """Unpack a part without keeping it, which also compares its size and checksum; return how many tags it has."""
    tags = 0
    with archive.open(part) as file:
        is_first = True
        while chunk := file.read(_CHUNK_BYTES):
            if is_first and chunk.startswith(b"PK\x03\x04"):
                raise FixRequest("file_unreadable", status=422, variant="nested")
            is_first = False
            tags += chunk.count(b"<")
    return tags
