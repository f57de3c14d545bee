"""The pages of the login: plain forms, no script, and nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib

from fxai.report.html import escape

_STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff; --text: #1a1a1a; --line: #c4cad0; --soft: #5c6670;
        --blue: #00609a; --on-blue: #fff; --red: #a8320a; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181c; --card: #1e2329; --text: #e4e6e8; --line: #4a525b; --soft: #a3abb4; --blue: #4aa8e8;
          --on-blue: #0b1116; --red: #ff9d76; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 0;
       min-height: 100vh; display: flex; align-items: center; justify-content: center; padding: 1rem; }
main { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 2rem; width: 100%;
       max-width: 26rem; }
h1 { font-size: 1.4rem; margin: 0 0 1.25rem; }
label { display: block; font-weight: 600; margin-bottom: .35rem; }
input, button, a.button { font: inherit; width: 100%; padding: .6rem .75rem; border-radius: .4rem; }
input { color: inherit; background: var(--page); border: 1px solid var(--line); }
button, a.button { display: block; margin-top: 1rem; border: 1px solid var(--blue); background: var(--blue);
                   color: var(--on-blue); font-weight: 600; text-align: center; text-decoration: none;
                   cursor: pointer; }
button.plain { background: none; color: var(--blue); }
:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
p { margin: 1rem 0 0; color: var(--soft); font-size: .9rem; }
p.wrong { margin: 0 0 1rem; color: var(--red); font-size: 1rem; font-weight: 600; }
code { overflow-wrap: anywhere; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
    ),
]
"""Headers of both pages."""


def form_page(target: str, wrong: str, in_the_open: bool) -> str:
    """The page that asks for the token.

    Args:
        target: path to go on to.
        wrong: why the last try failed; empty at the first.
        in_the_open: the token would cross a network unencrypted.
    """
    said = f'<p class="wrong" id="wrong" role="alert">{escape(wrong)}</p>\n' if wrong else ""
    described = ' aria-describedby="wrong" aria-invalid="true"' if wrong else ""
    note = (
        "\n<p>This connection is not encrypted: whoever reads the network's traffic reads the token too. "
        "Where that matters, come through an SSH tunnel.</p>"
        if in_the_open
        else ""
    )
    return _page(
        f"""<form method="post" action="/login">
{said}<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" autocapitalize="none"
 spellcheck="false" required autofocus{described}>
<input name="next" type="hidden" value="{escape(target)}">
<button>Log in</button>
</form>
<p>It is in the file or the variable <code>FXAI_DASHBOARD_TOKEN</code> that the dashboard was started with.</p>{note}"""
    )


def inside_page() -> str:
    """The page for somebody who is logged in."""
    return _page(
        """<a class="button" href="/dashboard">Open the dashboard</a>
<form method="post" action="/logout"><button class="plain">Log out</button></form>"""
    )


def _page(body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>FxAI dashboard</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>FxAI dashboard</h1>
{body}
</main>
</body>
</html>
"""
