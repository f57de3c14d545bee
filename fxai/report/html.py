"""One HTML page, safe to open whatever the names in it: escaped, and with a content security policy.

The policy runs only the scripts that this module wrote (by a nonce from the page's own content) and lets the
page load nothing from anywhere.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence

from fxai.report.text import clean

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1a1a1a; --line: #ddd; --soft: #666; --blue: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181c; --text: #e4e6e8; --line: #3a4048; --soft: #9aa2ab; --blue: #4aa8e8; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
       margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
p { max-width: 50rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.figure { min-height: 8rem; }
.note { color: var(--soft); font-size: .875rem; }
.warning { border-left: .3rem solid #d55e00; padding-left: .8rem; font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.cards div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .8rem; }
.cards b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: .875rem; }
select { font: inherit; color: inherit; background: var(--page); padding: .2rem .4rem; }
@media (max-width: 40rem) {
  body { margin: 1rem auto; padding: 0 .6rem; }
  th, td { padding: .25rem .45rem; font-size: .875rem; }
  td:first-child { white-space: normal; }
}
"""


def escape(text: object, limit: int = 1000) -> str:
    """`text` as inert HTML, also inside attributes and in plotly's labels."""
    return html.escape(clean(text, limit), quote=True)


def page(
    *, title: str, body: str, scripts: Sequence[str] = (), script_files: Sequence[str] = (), style: str = ""
) -> str:
    """A whole document.

    Args:
        title: plain text; escaped here.
        body: HTML whose texts the caller has escaped.
        scripts: code, run in order at the end of the body.
        script_files: names of script files beside the page, loaded before `scripts`.
        style: rules that follow those of every page.
    """
    nonce = hashlib.sha256("\0".join([title, body, *scripts]).encode()).hexdigest()[:32]
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    loaded = [f'<script nonce="{nonce}" src="{escape(name)}"></script>' for name in script_files]
    inline = [f'<script nonce="{nonce}">{code}</script>' for code in scripts]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}{style}</style>",
            "</head>",
            "<body>",
            f"<h1>{escape(title)}</h1>",
            body,
            *loaded,
            *inline,
            "</body>",
            "</html>",
            "",
        ]
    )


def paragraphs(sentences: Sequence[str], kind: str = "") -> str:
    """One paragraph per sentence, escaped; `kind` is a class of the style sheet: note or warning."""
    opening = f'<p class="{kind}">' if kind else "<p>"
    return "\n".join(f"{opening}{escape(sentence)}</p>" for sentence in sentences)


def heading(text: str) -> str:
    """A section's heading, escaped."""
    return f"<h2>{escape(text)}</h2>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, escaped; a wide one scrolls by itself."""
    return raw_table(header, [[f"<td>{escape(cell)}</td>" for cell in row] for row in rows])


def raw_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML, `<td>` and all, of which the caller has escaped the texts."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["<tr>" + "".join(row) + "</tr>" for row in rows]
    return "\n".join(['<div class="scroll"><table>', f"<tr>{head}</tr>", *lines, "</table></div>"])


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """Key figures as tiles: (name, value), escaped."""
    tiles = [f"<div><span>{escape(name)}</span><b>{escape(value)}</b></div>" for name, value in figures]
    return "\n".join(['<div class="cards">', *tiles, "</div>"])
