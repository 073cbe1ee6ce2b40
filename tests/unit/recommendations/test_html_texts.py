from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.recommendations.texts.html_texts import MAX_LENGTH, TAGS, sanitised
from shared.recommendations.texts.https_links import https_link
from shared.recommendations.texts.plain_texts import plain_text, shortened
from shared.texts import DIRECTION_CONTROLS, utf16_length

LINK = 'target="_blank" rel="noopener noreferrer"'

HOSTILE = [
    ("<script>alert(1)</script>text", "text"),
    ("<style>p { color: red }</style>text", "text"),
    ("<p onclick='alert(1)' style='x' class='y' id='z'>text</p>", "<p>text</p>"),
    ("<img src=x onerror=alert(1)>text", "text"),
    ("<svg><script>alert(1)</script><a href='https://a.example'>x</a></svg>text", "text"),
    ("<math><mi><script>alert(1)</script></mi></math>text", "text"),
    ("<iframe srcdoc='<script>alert(1)</script>'></iframe>text", "text"),
    ("<form action='https://a.example'><input><button>text</button></form>", "text"),
    ("<b><i>te</i>xt</b>", "text"),
    ("<h1>text", "text"),
    ("<a href='javascript:alert(1)'>text</a>", "text"),
    ("<a href='java&#10;script:alert(1)'>text</a>", "text"),
    ("<a href='\x01javascript:alert(1)'>text</a>", "text"),
    ("<a href='JaVaScRiPt:alert(1)'>text</a>", "text"),
    ("<a href='data:text/html,x'>text</a>", "text"),
    ("<a href='vbscript:x'>text</a>", "text"),
    ("<a href='http://a.example'>text</a>", "text"),
    ("<a href='/securescore'>text</a>", "text"),
    ("<a href='//a.example'>text</a>", "text"),
    ("<a href='https:a.example'>text</a>", "text"),
    ("<a href='https://'>text</a>", "text"),
    ("<a href='https://[/'>text</a>", "text"),
    ("<a href='https://microsoft.com@a.example/'>text</a>", "text"),
    ("<a href='https://a.example\\@microsoft.com/'>text</a>", "text"),
    ("<a href='https://a.example/\u202egpj.exe'>text</a>", "text"),
    ("<a>text</a>", "text"),
    ("<a href='https://a.example/?a=1&b=2'>text</a>", f'<a href="https://a.example/?a=1&amp;b=2" {LINK}>text</a>'),
    (
        "<a href='https://a.example/' onclick='x' target='_self' rel='opener' download>text</a>",
        f'<a href="https://a.example/" {LINK}>text</a>',
    ),
    (
        "<a href='https://a.example/?\"><script>alert(1)</script>'>text</a>",
        f'<a href="https://a.example/?&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" {LINK}>text</a>',
    ),
    ("<a href='https://a.example/'><a href='javascript:x'>text", f'<a href="https://a.example/" {LINK}></a>text'),
    ("<a>te<table><td><a href='https://a.example/'>xt", f'te<a href="https://a.example/" {LINK}>xt</a>'),
    (
        "<a href='https://a.example/'>t<table><td><a href='https://b.example/'>ext</a></table>",
        f'<a href="https://a.example/" {LINK}>text</a>',
    ),
    ("&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ("te<!-- <script> -->xt", "text"),
    ("te<![CDATA[<script>x</script>]]>xt", "tex]]&gt;xt"),
    ("<scr<script>ipt>alert(1)</script>text", "ipt&gt;alert(1)text"),
    ("te\x00x\x07t\u202e\u2066&#x202e;&#7;", "text"),
    ("\ud800text", "?text"),
    ("<p>text", "<p>text</p>"),
    ("text</p></div>", "text<p></p>"),
    ("<ol><li>one<li>two</ol>", "<ol><li>one</li><li>two</li></ol>"),
]


@pytest.mark.parametrize(("html", "expected"), HOSTILE)
def test_hostile_html_is_harmless(html: str, expected: str) -> None:
    assert sanitised(html) == expected


class Found(HTMLParser):
    """Notes what a parser sees in a text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


pieces = st.sampled_from(
    [
        "<p>", "</p>", "<br/>", "<ol>", "</ol>", "<ul>", "<li>", "</li>", "<a href='https://a.example'>", "</a>",
        "<a href='javascript:x'>", "<a href=https://a.example/'\"<x>", "<script>", "</script>", "<style>", "<svg>",
        "<!--", "-->", "<![CDATA[", "]]>", "<img src=x onerror=x>", "<template>", "<table><td>", "<select>", "<",
        "&lt;", "&#0;", "&nbsp;", "[code]", "[/ CODE ]", "\u202e", "\x00", "\ud800", "text", " ", "\n",
    ]
)  # fmt: skip
fragments = st.lists(pieces, max_size=12).map("".join)


@given(fragments)
def test_only_a_few_tags_and_https_links_are_left(html: str) -> None:
    clean = sanitised(html)
    found = Found(clean)
    assert found.others == []
    for tag, attributes in found.tags:
        assert tag in TAGS
        names = [name for name, _ in attributes]
        assert sorted(names) == (["href", "rel", "target"] if tag == "a" else [])
        assert tag != "a" or https_link(dict(attributes)["href"] or "")
    assert not re.search(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{DIRECTION_CONTROLS}]", clean)
    assert sanitised(clean) == sanitised(sanitised(clean))


@pytest.mark.parametrize("piece", ["<ol><li>", "<a href='https://a.example'>", "[ "])
def test_huge_texts_cost_little(piece: str) -> None:
    started = time.process_time()
    text = plain_text(piece * 100_000)
    assert time.process_time() - started < 2
    assert len(text) < 2 * MAX_LENGTH


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("\n\t <p>Turn  it\non.</p> \n", "Turn it on."),
        ("<p>One</p><p>Two<br/>Three<br><br>Four</p>", "One\n\nTwo\nThree\nFour"),
        ("Do: <ol><li>One</li><li><p>Two</p><p>more</p></li></ol>End", "Do:\n\n1. One\n2. Two\n  more\n\nEnd"),
        ("<ul><li>One<ol><li>a</li><li>b</li></ol></li><li>Two</li></ul>", "- One\n  1. a\n  2. b\n- Two"),
        ("<ul><li></li><li>Two</li></ul>", "- Two"),
        ("<li>Alone</li>text", "- Alone\ntext"),
        ("<p>See <a href='https://a.example/'>the page</a>.</p>", "See the page (https://a.example/)."),
        ("<a href='https://a.example/'>https://a.example/</a>", "https://a.example/"),
        ("<a href='https://a.example/'></a>", "https://a.example/"),
        ("<a href='http://a.example/'>the page</a>", "the page"),
        ("<a href='https://a.example/'>the<br>page</a>", "the\npage (https://a.example/)"),
        ("a &lt;b&gt; &amp;amp; c&nbsp;d &#8217;", "a <b> &amp; c d ’"),
        ("[code]<b>x</b>[/CODE] [ / Code ]", "(code)x(/CODE) ( / Code )"),
        ("[co<b>de]</b> [c&#111;de]", "(code) (code)"),
        ("[co\u202ede] [co\x07de]", "(code) (code)"),
    ],
)
def test_html_becomes_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


@given(fragments)
@example("<a href='https://a.example'><p>x</a>")
def test_plain_text_has_no_markup_of_its_own(html: str) -> None:
    text = plain_text(html)
    assert not re.search(r"\[\s*/?\s*code\s*\]", text, re.IGNORECASE)
    assert not re.search(f"[\x00-\x09\x0b-\x1f\x7f-\x9f{DIRECTION_CONTROLS}]", text)
    assert "\n\n\n" not in text
    assert text == text.strip("\n")
    text.encode()


@given(st.text(st.sampled_from("a😀 \n"), max_size=20), st.integers(1, 25))
def test_a_shortened_text_fits(text: str, max_length: int) -> None:
    short = shortened(text, max_length)
    assert utf16_length(short) <= max_length
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (" https://learn.microsoft.com/a?b=c#d ", "https://learn.microsoft.com/a?b=c#d"),
        ("HTTPS://a.example", "HTTPS://a.example"),
        ("http://a.example", None),
        ("https://", None),
        ("https://user@a.example", None),
        ("https://a.example/a b", None),
        (f"https://a.example/{'a' * 1000}", None),
        ("a.example", None),
        ("", None),
    ],
)
def test_only_https_addresses_become_links(text: str, link: str | None) -> None:
    assert https_link(text) == link
