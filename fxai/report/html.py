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
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
th:first-child, td:first-child { text-align: left; }
.figure { min-height: 8rem; }
"""


def escape(text: object, limit: int = 1000) -> str:
    """`text` as inert HTML, also inside attributes and in plotly's labels."""
    return html.escape(clean(text, limit), quote=True)


def page(*, title: str, body: str, scripts: Sequence[str] = (), script_files: Sequence[str] = ()) -> str:
    """A whole document.

    Args:
        title: plain text; escaped here.
        body: HTML whose texts the caller has escaped.
        scripts: code, run in order at the end of the body.
        script_files: names of script files beside the page, loaded before `scripts`.
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
            f"<style>{_STYLE}</style>",
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


def paragraphs(sentences: Sequence[str]) -> str:
    """One paragraph per sentence, escaped."""
    return "\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join(["<table>", f"<tr>{head}</tr>", *lines, "</table>"])
