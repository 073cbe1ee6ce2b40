"""Writes Office Open XML workbooks with the standard library alone, so that no reader is tested against itself."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from xml.sax.saxutils import escape, quoteattr

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 -- a cell's date has no zone
_DATE_STYLE = 1
_WRITTEN_AT = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that equal contents are equal bytes."""

type Cell = str | datetime
"""A text, or a naive date and time that is written as a serial number."""


class Strings(StrEnum):
    """Where the texts of cells are: Excel keeps them in a part of their own, other writers in the cell."""

    SHARED = "shared"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet.

    Attributes:
        name: What its tab says.
        rows: Its cells; the first row holds the headings.
        colours: The background of each heading, as six hexadecimal digits; may be shorter than the row.
    """

    name: str
    rows: Sequence[Sequence[Cell]]
    colours: Sequence[str] = ()


def write_spreadsheet(sheets: Sequence[Sheet], strings: Strings) -> bytes:
    """Return a workbook; equal sheets give equal bytes."""
    colours = sorted({colour for sheet in sheets for colour in sheet.colours})
    texts = _Texts(strings)
    parts = {
        f"xl/worksheets/sheet{number}.xml": _worksheet(sheet, texts, colours)
        for number, sheet in enumerate(sheets, start=1)
    }
    parts["xl/workbook.xml"] = _workbook(sheets)
    parts["xl/styles.xml"] = _styles(colours)
    related = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)]
    related.append(("styles", "styles.xml"))
    if strings is Strings.SHARED:
        parts["xl/sharedStrings.xml"] = texts.part()
        related.append(("sharedStrings", "sharedStrings.xml"))
    parts["xl/_rels/workbook.xml.rels"] = _relationships(related)
    parts["_rels/.rels"] = _relationships([("officeDocument", "xl/workbook.xml")])
    return _zip({"[Content_Types].xml": _content_types(parts), **parts})


def _zip(parts: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name, _WRITTEN_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, text)
    return archive.getvalue()


@dataclass(slots=True)
class _Texts:
    """Writes the texts of cells, and collects them if they are shared."""

    strings: Strings
    _numbers: dict[str, int] = field(default_factory=dict)
    _uses: int = 0

    def cell(self, address: str, text: str, style: str) -> str:
        if self.strings is Strings.INLINE:
            return f'<c r="{address}"{style} t="inlineStr"><is>{_text(text)}</is></c>'
        self._uses += 1
        number = self._numbers.setdefault(text, len(self._numbers))
        return f'<c r="{address}"{style} t="s"><v>{number}</v></c>'

    def part(self) -> str:
        items = "".join(f"<si>{_text(text)}</si>" for text in self._numbers)
        return f'{_XML}<sst xmlns="{_MAIN}" count="{self._uses}" uniqueCount="{len(self._numbers)}">{items}</sst>'


def _text(text: str) -> str:
    space = ' xml:space="preserve"' if text != text.strip() or "\n" in text else ""
    return f"<t{space}>{escape(text)}</t>"


def _worksheet(sheet: Sheet, texts: _Texts, colours: Sequence[str]) -> str:
    styles = [_DATE_STYLE + 1 + colours.index(colour) for colour in sheet.colours]
    rows = "".join(
        f'<row r="{number}">{_cells(row, number, texts, styles if number == 1 else [])}</row>'
        for number, row in enumerate(sheet.rows, start=1)
    )
    return f'{_XML}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def _cells(row: Sequence[Cell], number: int, texts: _Texts, styles: Sequence[int]) -> str:
    cells = []
    for index, value in enumerate(row):
        address = f"{_column(index)}{number}"
        if isinstance(value, datetime):
            cells.append(f'<c r="{address}" s="{_DATE_STYLE}"><v>{_serial_number(value)}</v></c>')
        else:
            cells.append(texts.cell(address, value, f' s="{styles[index]}"' if index < len(styles) else ""))
    return "".join(cells)


def _column(index: int) -> str:
    """Return a column's letters.

    >>> [_column(0), _column(25), _column(26)]
    ['A', 'Z', 'AA']
    """
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _serial_number(at: datetime) -> str:
    """Return the days since the end of 1899, as Excel counts them.

    >>> _serial_number(datetime(2022, 3, 27, 18))
    '44647.75'
    """
    return repr((at - _FIRST_DAY).total_seconds() / 86_400)


def _workbook(sheets: Sequence[Sheet]) -> str:
    items = "".join(
        f'<sheet name={quoteattr(sheet.name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, sheet in enumerate(sheets, start=1)
    )
    return f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{items}</sheets></workbook>'


def _styles(colours: Sequence[str]) -> str:
    fills = "".join(
        f'<fill><patternFill patternType="solid"><fgColor rgb="FF{colour}"/></patternFill></fill>' for colour in colours
    )
    plain = '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    date = '<xf numFmtId="22" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    coloured = "".join(
        f'<xf numFmtId="0" fontId="0" fillId="{number}" borderId="0" xfId="0" applyFill="1"/>'
        for number in range(2, len(colours) + 2)
    )
    return (
        f'{_XML}<styleSheet xmlns="{_MAIN}">'
        '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        f'<fills count="{len(colours) + 2}"><fill><patternFill patternType="none"/></fill>'
        f'<fill><patternFill patternType="gray125"/></fill>{fills}</fills>'
        '<borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{len(colours) + 2}">{plain}{date}{coloured}</cellXfs></styleSheet>'
    )


def _relationships(targets: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def _content_types(parts: dict[str, str]) -> str:
    kinds = {"workbook": "sheet.main", "styles": "styles", "sharedStrings": "sharedStrings"}
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{_CONTENT}.{kinds.get(_stem(name), "worksheet")}+xml"/>'
        for name in parts
        if not name.endswith(".rels")
    )
    return (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".xml")
