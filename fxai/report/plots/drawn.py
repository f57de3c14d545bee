"""A plot of a study as the pages take it: the figure, how to read it, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One plot."""

    name: str
    """Its file is `<name>.html`."""

    title: str
    """Plain text: what is drawn, in words."""

    reading: str
    """How to read it, in one or two sentences; plain text."""

    figure: Any | None
    """The plotly figure; None where there is too little data."""

    remark: str = ""
    """Why there is no figure, what it leaves out, what is far outside; plain text, may be empty."""

    height_px: int = 440
    """Of the figure; a figure with a `grid` sets its own once it is drawn."""

    min_width_px: int = 0
    """On a narrower screen the figure scrolls by itself."""

    by_metric: tuple[tuple[str, Any], ...] = ()
    """With several objectives: (metric, figure) for each, the first being `figure`; else empty."""


def joined(*sentences: str) -> str:
    """The sentences that say something, in one text."""
    return " ".join(sentence for sentence in sentences if sentence)
