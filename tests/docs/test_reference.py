"""Every document and section that comments cite is in ``docs/reference``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = {
    "ServiceNow": ROOT / "docs" / "reference" / "servicenow-on-the-wire.md",
    "Functions host": ROOT / "docs" / "reference" / "functions-host-on-the-wire.md",
    "Microsoft Graph": ROOT / "docs" / "reference" / "microsoft-graph.md",
    "Flex Consumption": ROOT / "docs" / "reference" / "flex-consumption.md",
    "Authentication": ROOT / "docs" / "reference" / "authentication.md",
    "Storage Queue": ROOT / "docs" / "reference" / "storage-queue-on-the-wire.md",
    "Webhooks": ROOT / "docs" / "reference" / "webhooks.md",
}
"""Their names in citations, as in "ServiceNow §2.3, §5" or "Functions host §R1"."""
CITATION = re.compile(
    r"(?:(?P<name>Functions\s+host|Microsoft\s+Graph|Flex\s+Consumption|Storage\s+Queue|[A-Za-z]+)[\s#]+)?§(?P<section>[A-Z]?\d+(?:\.\d+)*)"
)
GOES_ON = {"to", "and", "or", "of", "FOUND", "CONFLICT", "INFERRED"}
"""After one of these words, a section belongs to the document that was named before."""
NO_DOCUMENT = re.compile(
    r"\bwire\s+document|\bhost\s+document|\badditions,?\s+(?:[0-9A-H]\b|to\s+the\s+wire)", re.IGNORECASE
)
"""Names from before the documents were in the repository."""
CITING = [
    *(
        file
        for folder in ("shared", "sandbox", "tests", "benchmarks", "release")
        for file in (ROOT / folder).rglob("*.py")
    ),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "infra").rglob("*.bicep"),
]


def sections(document: Path) -> set[str]:
    """Return the numbers of a document's headings, and those of the facts in its tables."""
    numbered = re.compile(r"^##+ (?P<heading>\d+(?:\.\d+)?)\.? |^\| (?P<fact>[A-Z]\d+) \|", re.MULTILINE)
    return {found["heading"] or found["fact"] for found in numbered.finditer(document.read_text(encoding="utf-8"))}


SECTIONS = {name: sections(document) for name, document in DOCUMENTS.items()}


def wrong_citations(text: str) -> Iterator[str]:
    """Yield each citation of a missing section. A section belongs to the document that was named last."""
    document = ""
    yield from (found[0] for found in NO_DOCUMENT.finditer(text))
    for found in CITATION.finditer(text):
        name = " ".join((found["name"] or "").split())
        if name and name not in GOES_ON:
            document = name
        if found["section"] not in SECTIONS.get(document, set()):
            yield found[0]


def test_every_cited_section_exists() -> None:
    wrong = {
        f"{file.relative_to(ROOT)}: {citation}"
        for file in CITING
        if file != Path(__file__)
        for citation in wrong_citations(file.read_text(encoding="utf-8"))
    }
    assert not wrong, "cite docs/reference as in 'ServiceNow §2.3' or 'Functions host §R1': " + ", ".join(sorted(wrong))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_cite_their_own_sections(name: str) -> None:
    cited = {found["section"] for found in CITATION.finditer(DOCUMENTS[name].read_text(encoding="utf-8"))}
    assert cited <= SECTIONS[name]


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("(ServiceNow §2.3)", True),
        ("ServiceNow\n    # §2.8, §2.9 and §3", True),
        ("Functions host §R1 to §R8, §4", True),
        ("ServiceNow §2.99", False),
        ("ServiceNow §R1", False),
        ("Functions host §R999", False),
        ("(ServiceNow §1) and Word §3", False),
        ("§2.3", False),
        ("see the wire document 2.3", False),
        ("(host document R1)", False),
        ("(additions, section 0; additions A.6)", False),
    ],
)
def test_wrong_citations_are_found(text: str, is_right: bool) -> None:
    assert (not list(wrong_citations(text))) is is_right
