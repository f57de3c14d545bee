from __future__ import annotations

import re
from html.parser import HTMLParser

from fxai.report.html import escape, page, paragraphs, table

HOSTILE = "</title><script>alert(1)</script>\x1b[31m\" onload='x' & \u202e"


class Reader(HTMLParser):
    """Collects tags and text as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_escape_leaves_nothing_that_html_or_a_terminal_obeys() -> None:
    assert not re.search(r"[<>\"'\x1b\u202e]", escape(HOSTILE))
    assert escape("a & b") == "a &amp; b"


def test_hostile_texts_make_no_tags() -> None:
    read = Reader(page(title=HOSTILE, body=paragraphs([HOSTILE]) + table([HOSTILE], [[HOSTILE]])))
    assert [tag for tag, _ in read.tags if tag == "script"] == []
    assert read.text.count("<script>alert(1)</script>") == 5  # title, heading, paragraph, header, cell


def test_policy_allows_only_the_scripts_of_the_page() -> None:
    text = page(title="t", body="", scripts=["draw()"], script_files=["plotly.min.js"])
    read = Reader(text)
    (policy,) = [attrs["content"] for tag, attrs in read.tags if attrs.get("http-equiv")]
    nonces = {attrs["nonce"] for tag, attrs in read.tags if tag == "script"}
    assert policy is not None
    assert len(nonces) == 1
    assert f"script-src 'nonce-{nonces.pop()}';" in policy
    assert policy.startswith("default-src 'none';")
    assert text.index("Content-Security-Policy") < text.index("<script")


def test_nonce_depends_on_the_content_so_that_content_cannot_know_it() -> None:
    nonces = {re.findall("nonce-([0-9a-f]{32})", page(title=t, body=b))[0] for t in "ab" for b in "cd"}
    assert len(nonces) == 4


def test_the_same_content_gives_the_same_bytes() -> None:
    assert page(title="a", body="b", scripts=["c"]) == page(title="a", body="b", scripts=["c"])
