"""Reading journals (ServiceNow §14), and the texts that are written to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.tickets.updates.record_details import (
    ENTRY_MAX_LENGTH,
    MOST_ENTRIES,
    JournalEntry,
    journal_entries,
    looks_like_header,
)

LINES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs", "S"]), min_size=1, max_size=30)
TEXTS = (
    st.lists(LINES.map(str.strip).filter(bool).filter(lambda line: not looks_like_header(line)), min_size=1, max_size=4)
    .map("\n".join)
    .filter(lambda text: text.isprintable() or "\n" in text)
)
FORMATS = st.sampled_from(["2022-11-04 15:29:{:02}", "04/11/2022 03:29:{:02} PM", "04.11.2022 15.29.{:02}"])
LABELS = st.sampled_from(["Additional comments", "作業メモ", "Kommentare"])


@given(texts=st.lists(TEXTS, max_size=30), form=FORMATS, label=LABELS, end=st.sampled_from(["\n", "\r\n"]))
def test_every_entry_comes_back(texts: list[str], form: str, label: str, end: str) -> None:
    journal = "".join(
        f"{form.format(number)} - System Administrator ({label}){end}{text}{end}{end}"
        for number, text in enumerate(texts)
    )
    entries = journal_entries(journal)
    assert len(entries) == min(len(texts), MOST_ENTRIES)
    for number, (entry, text) in enumerate(zip(entries, texts, strict=False)):
        assert (entry.at_text, entry.by) == (form.format(number), "System Administrator")
        assert "".join(entry.text.split()) == "".join(text.split())


@given(journal=st.text(max_size=300))
def test_any_text_is_shown_bounded(journal: str) -> None:
    entries = journal_entries(journal * 40)
    assert len(entries) <= MOST_ENTRIES
    assert all(len(entry.text) <= ENTRY_MAX_LENGTH for entry in entries)
    assert all("\x00" not in entry.text and "\u202e" not in entry.text for entry in entries)


def test_what_is_in_an_unknown_form_is_shown_as_it_is() -> None:
    assert journal_entries("Freitag, 4. November: erledigt") == (JournalEntry("Freitag, 4. November: erledigt"),)
    assert journal_entries(" \r\n") == ()


def test_a_line_within_an_entry_is_no_entry() -> None:
    [entry] = journal_entries(
        "2022-11-04 15:29:20 - Eve (Work notes)\nSee below\n2022-11-04 15:00:00 - Admin (Work notes)\nApproved\n\n"
        "2022-11-04 15:00:00 - Admin (Additional comments)\nApproved\n\n"
    )
    assert entry.by == "Eve"
