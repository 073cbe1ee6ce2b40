"""Files that nobody exported: what an import has to refuse, each with the reason it has to give."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from sandbox.compliance_manager.actions import invented_actions
from sandbox.compliance_manager.workbook import export_workbook

SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
SMALL = export_workbook(invented_actions(3))


def parts_of(content: bytes = SMALL) -> dict[str, bytes]:
    """Return the parts of a workbook."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Return an archive of parts."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return archive.getvalue()


def with_parts(parts: Mapping[str, bytes]) -> bytes:
    """Return a small workbook with other or further parts."""
    return packed({**parts_of(), **parts})


def edited(part: str, old: bytes, new: bytes) -> bytes:
    """Return a small workbook in which a text of a part is replaced once."""
    content = parts_of()[part]
    assert old in content
    return with_parts({part: content.replace(old, new, 1)})


def _with_flag(content: bytes, flag: int) -> bytes:
    """Return an archive whose entries all have a flag set, in both headers."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        while place >= 0:
            changed[place + offset] |= flag
            place = content.find(signature, place + 4)
    return bytes(changed)


def _with_method(content: bytes, method: int) -> bytes:
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(signature)
        while place >= 0:
            changed[place + offset : place + offset + 2] = method.to_bytes(2, "little")
            place = content.find(signature, place + 4)
    return bytes(changed)


def _laughs() -> bytes:
    entities = b"".join(
        b'<!ENTITY l%d "%s">' % (number, b"&l%d;" % (number - 1) * 10 if number else b"ha") for number in range(10)
    )
    strings = parts_of()[STRINGS].replace(b"<sst", b"<!DOCTYPE sst [" + entities + b"]><sst", 1)
    return with_parts({STRINGS: strings.replace(b"<t>Action Id</t>", b"<t>&l9;</t>", 1)})


def _external() -> bytes:
    doctype = b'<!DOCTYPE sst [<!ENTITY x SYSTEM "file:///etc/passwd">]><sst'
    strings = parts_of()[STRINGS].replace(b"<sst", doctype, 1)
    return with_parts({STRINGS: strings.replace(b"<t>Action Id</t>", b"<t>&x;</t>", 1)})


def _rows(count: int) -> bytes:
    rows = b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (number, number) for number in range(2, count + 2))
    return parts_of()[SHEET].replace(b"</sheetData>", rows + b"</sheetData>")


HOSTILE: Mapping[str, tuple[bytes, str]] = {
    "no bytes": (b"", "empty"),
    "blanks": (b" \r\n", "empty"),
    "a web page": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "markup"),
    "a web page with a mark": (b"\xef\xbb\xbf<html></html>", "markup"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "old_workbook"),
    "a PDF": (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n", "encoding"),
    "a text in another encoding": ("Empfohlene Maßnahme;Punkte".encode("cp1252"), "encoding"),
    "zeros": (bytes(100), "encoding"),
    "an archive that is cut off": (SMALL[: len(SMALL) // 2], "damaged"),
    "an archive without its last byte": (SMALL[:-1], "damaged"),
    "only the beginning of an archive": (b"PK\x03\x04", "damaged"),
    "an empty archive": (packed({}), "damaged"),
    "an archive of something else": (packed({"readme.txt": b"hello"}), "damaged"),
    "a bomb": (with_parts({SHEET: bytes(20_000_000)}), "too_large_unpacked"),
    "a bomb in another part": (with_parts({"xl/theme/theme1.xml": b" " * 1_500_000}), "too_large_unpacked"),
    "endless tags": (with_parts({SHEET: b"<a/>" * 4_000_001}), "too_large_unpacked"),
    "many parts": (with_parts({f"xl/media/{number}": b"" for number in range(201)}), "too_many_parts"),
    "a path that leads up": (with_parts({"../../home/site/wwwroot/host.json": b"{}"}), "unsafe_name"),
    "an absolute path": (with_parts({"/etc/passwd": b""}), "unsafe_name"),
    "a path of Windows": (with_parts({"xl\\evil.xml": b""}), "unsafe_name"),
    "a drive": (with_parts({"C:evil.xml": b""}), "unsafe_name"),
    "a part twice": (with_parts({SHEET.upper(): b""}), "unsafe_name"),
    "an encrypted archive": (_with_flag(SMALL, 0x1), "encrypted"),
    "an unusual compression": (_with_method(SMALL, zipfile.ZIP_LZMA), "damaged"),
    "macros": (with_parts({"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0"}), "macros"),
    "macros of Excel 4": (with_parts({"xl/macrosheets/sheet1.xml": b"<a/>"}), "macros"),
    "an archive inside": (with_parts({"xl/embeddings/inner.zip": b""}), "nested"),
    "an archive under another name": (with_parts({"xl/media/image1.png": SMALL}), "nested"),
    "a billion laughs": (_laughs(), "damaged"),
    "an external entity": (_external(), "damaged"),
    "other content types": (with_parts({"[Content_Types].xml": b"<Types/>"}), "damaged"),
    "no content types": (packed({name: part for name, part in parts_of().items() if "Content" not in name}), "damaged"),
    "no workbook": (packed({name: part for name, part in parts_of().items() if "workbook.xml" not in name}), "damaged"),
    "a string that is not there": (edited(SHEET, b"<v>0</v>", b"<v>99999</v>"), "damaged"),
    "an address that no sheet has": (edited(SHEET, b'r="A2"', b'r="ZZZZZZZ99999999999"'), "damaged"),
    "broken XML": (edited(SHEET, b"</sheetData>", b""), "damaged"),
    "too many rows": (with_parts({SHEET: _rows(5_001)}), "too_many_rows"),
    "a row far below": (edited(SHEET, b'<row r="3">', b'<row r="90000">'), "too_many_rows"),
    "no rows": (export_workbook([]), "no_rows"),
    "a list without rows": (b"Recommended action,Points achieved,Status\r\n", "no_rows"),
    "a list with an open quote": (b'Recommended action,Points achieved,Status\r\n"a,0/1,Completed', "damaged"),
    "a list with too many rows": (
        b"Recommended action,Points achieved,Status\r\n" + b"a,0/1,Completed\r\n" * 5_001,
        "too_many_rows",
    ),
    "a list with an endless cell": (
        b"Recommended action,Points achieved,Status\r\n" + b"a" * 200_000 + b",0/1,Completed\r\n",
        "damaged",
    ),
}
"""Files by what they are, with the variant of ``file_unreadable`` that says so."""
