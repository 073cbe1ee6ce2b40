"""Text that somebody plants in a field, and a check that it stays text."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from shared.texts import DIRECTION_CONTROLS

SCRIPT = "אבג\"'><img src=x onerror=alert(1)><script>alert(2)</script></title></textarea>{{7*7}}${7*7}"

MISLEADING = """controls => {
  const faults = [];
  const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement: around } = texts.currentNode;
    if (around.matches("script, textarea")) continue;
    const plain = around.matches("title, option");
    const isolated = (_, inner) => inner.replace(/[א-ת]/g, "");
    const shown = plain ? data.replace(/\\u2068([^\\u2068]*)\\u2069/g, isolated) : data;
    if ([...shown].some((each) => controls.includes(each))) faults.push(`hidden: ${data}`);
    if (/[א-ת]/.test(shown) && (plain || !around.closest("bdi, [dir=auto]"))) faults.push(`not isolated: ${data}`);
  }
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (getComputedStyle(field).unicodeBidi !== "plaintext") faults.push(`direction of ${field.id}`);
  for (const each of document.querySelectorAll("*"))
    for (const { name, value } of each.attributes) if (value.includes("<bdi>")) faults.push(`markup in ${name}`);
  return faults;
}"""


def expect_nothing_but_text(page: Page) -> None:
    """No planted text has become an element, hides, or reverses the words around it."""
    expect(page.locator("main img, main script")).to_have_count(0)
    expect(page.locator("body script, [onerror], [onclick]")).to_have_count(0)
    assert page.evaluate(MISLEADING, DIRECTION_CONTROLS) == [], page.url
