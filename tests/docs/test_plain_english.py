"""No document, message, comment or docstring has the words that usually make a sentence hard to read.

A list finds only words. To find out whether a sentence is plain, read it aloud.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WORDS = {
    r"(?<!where they )(?:stands?|stood|standing)(?!-)(?! (?:for|in for)\b)": "is, are, was",
    r"(?<!can )(?<!cannot )(?:tells?|telling|told)(?![:(])": "says, shows, names; 'distinguish' for 'tell apart'",
    r"mend(?:s|ed|ing)?": "fix",
    r"reckon(?:s|ed|ing)?": "count, calculate, expect",
    r"of itself": "by itself",
    r"so many(?! that\b)": "the number: 'keep 50 events'",
    r"by so much": "by this much",
    r"(?:is|are|was|were) said to": "claimed",
    r"(?:can|could|to) be had": "available",
    r"whereby|thereby|hereby|wherein|in vain|astray": "an everyday word",
    r"that one's": "its",
    r"the very": "leave it out",
    r"no longer any": "no more",
    r"(?:anew|afresh)(?!:)": "again, newly",
    r"in truth": "really",
    r"oneself|one's own": "yourself, your own",
    r"(?:is|are) (?:of )?no use": "does not help",
    r"but for": "except",
    r"without a (?:sign|word)": "silently",
    r"in vain": "without success",
    r"com(?:e|es|ing) to grief|came to grief": "fail",
    r"com(?:e|es|ing) to (?:its|their|an) end|came to (?:its|their|an) end": "end",
    r"of its own making": "its own",
    r"all the same": "anyway, even so",
    r"if it lasts(?=,)": "if it continues",
    r"whoever operates": "the operator of",
    r"(?:is|are) (?:not )?to be seen": "appears, can be seen",
    r"a fresh one": "a new one",
    r"whence|thereof|therein|whereupon|whilst|albeit|lest|ought": "an everyday word",
}
"""What to look for, and what to write instead."""
FOUND = re.compile("|".join(rf"\b(?:{word})\b" for word in WORDS), re.IGNORECASE)
FROZEN = ROOT / "tests" / "releases" / "release_0_1"
"""The code of a release, as it was."""
CODE = ("shared", "sandbox", "tests", "benchmarks")
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "shared").rglob("*.html"),
    *(ROOT / "infra").rglob("*.bicep"),
]
TRANSLATIONS = [*(ROOT / "shared").rglob("en.json")]


def hits(text: str) -> Iterator[str]:
    """Yield each found word with the text around it."""
    line = re.sub(r"\s+(?:#\s+)?", " ", text)
    for found in FOUND.finditer(line):
        yield line[max(0, found.start() - 40) : found.end() + 30]


def comments(file: Path) -> str:
    """Return the comments and docstrings of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline)
    return "\n".join(
        token.string
        for token in tokens
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.endswith('"""'))
    )


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_documents(file: Path) -> None:
    assert list(hits(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("file", TRANSLATIONS, ids=lambda file: str(file.relative_to(ROOT)))
def test_messages(file: Path) -> None:
    messages: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    assert {key: found for key, text in messages.items() if (found := list(hits(json.dumps(text))))} == {}


@pytest.mark.parametrize("folder", CODE)
def test_comments_and_docstrings(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}: {found}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        if file != Path(__file__) and FROZEN not in file.parents
        for found in hits(comments(file))
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_something_to_look_at() -> None:
    assert TRANSLATIONS
    assert {".md", ".html", ".bicep"} == {file.suffix for file in DOCUMENTS}


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("The record stands in ServiceNow.", False),
        ("The id stands\n    # for a ticket; a stand-in stands in for it.", True),
        ("Tell whether it is due.", False),
        ("Nobody can\n    # tell.", True),
        ("so many events are kept", False),
        ("so many that it fails", True),
        ("These are understandable, outstanding, fortelling words.", True),
    ],
)
def test_words_are_found(text: str, is_plain: bool) -> None:
    assert (not list(hits(text))) is is_plain
