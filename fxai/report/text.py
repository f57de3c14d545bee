"""How names, numbers and times are written for people; the same in terminal, summary and page.

Names and messages come from specs, databases and exceptions: `clean` makes them harmless to a terminal.
HTML escaping is `fxai.report.html`'s work.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from fxai.config.metrics import RATIO_CAP

NOTHING = "–"
"""What stands where there is no value."""

TOO_FEW_TRADES = "too few trades"
"""What is said of a trial that breaks the only constraint there is, `evaluation.min_trades`."""


def clean(text: object, limit: int = 200) -> str:
    """`text` on one line without anything that a terminal obeys.

    Escape sequences, bidirectional overrides and zero-width characters show as \\x1b and the like.
    Longer texts end in an ellipsis.
    """
    shown = "".join(ch if ch.isprintable() else _escaped(ch) for ch in str(text))
    return shown if len(shown) <= limit else shown[: max(0, limit - 1)] + "…"


def _escaped(ch: str) -> str:
    return " " if ch in "\n\t" else ch.encode("unicode_escape").decode("ascii")


def number(value: object) -> str:
    """A value in about four digits: 0.00032, 1.2e-05, 12346, true, gelu; lists in brackets."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(number(item) for item in value) + "]"
    return clean(value, 40)


def signed(value: float) -> str:
    """A difference, its sign always written."""
    return number(value) if value < 0 else f"+{number(value)}"


def duration(seconds: float | None) -> str:
    """A length of time: 3.2s, 42s, 3m 10s, 2h 05m, 3d 04h."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {second:02d}s"
    hours, minute = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minute:02d}m"
    days, hour = divmod(hours, 24)
    return f"{days}d {hour:02d}h"


_SHARES = {"total_return", "cagr", "max_drawdown", "stopped", "win_rate", "expectancy", "exposure", "costs"}
"""Metrics that are fractions and read better in per cent."""

_COUNTS = {"n_trades", "n_closed", "max_drawdown_bars", "holding_bars"}

_CUT = {"cagr", "sharpe", "sortino", "calmar", "profit_factor", "expectancy", "turnover", "exposure", "costs"}
"""Metrics that are cut at ±RATIO_CAP: there it is a bound and no figure."""


def is_share(name: str) -> bool:
    """Whether a metric is a fraction that reads better in per cent."""
    return name in _SHARES


def metric(name: str, value: object) -> str:
    """A metric's value in its natural unit: shares in per cent, counts whole, what was cut as `> 100`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        if name in _CUT and abs(value) >= RATIO_CAP * (1 - 1e-9):
            bound = f"{100 * RATIO_CAP:,.0f}%" if name in _SHARES else f"{RATIO_CAP:g}"
            return f"> {bound}" if value > 0 else f"< -{bound}"
        if name in _SHARES:
            return f"{100 * value:.{'2g' if 0 < abs(value) < 5e-4 else '3g' if abs(value) >= 1e3 else '2f'}}%"
        if name in _COUNTS:
            return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
    return number(value)


def count(many: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def done_of(finished: int, budget: object, noun: str = "") -> str:
    """`3 of 20`, with a noun `3 of 20 trials`; `60 (budget 8)` where the budget was lowered since."""
    if isinstance(budget, int) and finished > budget:
        return f"{count(finished, noun) if noun else finished} (budget {budget})"
    return f"{finished} of {count(budget, noun) if noun and isinstance(budget, int) else budget}"


def wrapped(text: str, width: int, indent: str = "  ") -> str:
    """`text` in lines of at most `width`, broken at blanks alone; the later ones start with `indent`.

    A terminal breaks inside words. A longer word, such as a path, stays whole.
    """
    wrapper = textwrap.TextWrapper(width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.wrap(text))


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each dotted name's last part, or as many of its last parts as tell it from the others."""
    names = list(dict.fromkeys(names))
    short: dict[str, str] = {}
    for name in names:
        parts = name.split(".")
        for keep in range(1, len(parts) + 1):
            tail = ".".join(parts[-keep:])
            if not any(other != name and f".{other}".endswith(f".{tail}") for other in names):
                break
        short[name] = clean(tail, 60)
    return short


def assignments(params: Mapping[str, object]) -> str:
    """Parameters on one line: `learning_rate=0.00032 d_model=128`."""
    short = short_names(params)
    return " ".join(f"{short[name]}={number(value)}" for name, value in params.items())
