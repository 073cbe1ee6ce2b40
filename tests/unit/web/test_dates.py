"""Days and times look the same on every page and in every language: 2026-12-03, and 2026-12-03 14:05 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from shared.web.html import FOLDER, day, moment

TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
INSIDE = r"[^{}]*"
SHOWN = re.compile(
    rf'(?P<attribute>\b(?:datetime|value|id|href)="(?:[^"{{]|\{{\{{{INSIDE}\}}\}})*)?\{{\{{(?P<expression>{INSIDE})\}}\}}'
)
FORMATS = re.compile(r"isoformat\(|strftime|\.date\(\)|format\(.*%[Ymd]")
BARE = re.compile(r"\s*[\w.]+_(?:at|on|day)(?: or .*)?\s*")


def odd_dates(template: str) -> list[str]:
    """Return the expressions of a template that show a day or a time without the filters."""
    return [
        found["expression"].strip()
        for found in SHOWN.finditer(template)
        if not found["attribute"] and (FORMATS.search(found["expression"]) or BARE.fullmatch(found["expression"]))
    ]


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_a_template_shows_days_and_times_by_the_filters(file: object) -> None:
    assert odd_dates(file.read_text(encoding="utf-8")) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "template",
    [
        "<td>{{ each.snapshot_at.date().isoformat() }}</td>",
        '<p title="{{ x }}">{{ ticket.due_at }}</p>',
        "{{ t('x', at=x.created_at.strftime('%d.%m.')) }}",
    ],
)
def test_that_finds_others(template: str) -> None:
    assert len(odd_dates(template)) == 1


def test_that_lets_machines_read_them() -> None:
    assert odd_dates('<time datetime="{{ x.due_at.isoformat() }}">{{ x.due_at|moment }}</time>') == []


def test_neither_does_a_script_or_a_module_of_pages_have_another_form() -> None:
    scripts = [*(FOLDER / "static").glob("*.js"), *FOLDER.glob("*.py"), *(FOLDER.parent / "triggers").glob("*.py")]
    forms = re.compile(r"DateTimeFormat(?!\(\)\.resolvedOptions)|toLocale|strftime|%b|:%d")
    assert [file.name for file in scripts if forms.search(file.read_text(encoding="utf-8"))] == []


def test_the_form() -> None:
    assert day(date(2026, 12, 3)) == "2026-12-03"
    assert moment(datetime(2026, 12, 3, 14, 5, 59, tzinfo=UTC)) == "2026-12-03 14:05 UTC"
