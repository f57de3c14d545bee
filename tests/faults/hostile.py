"""An objective whose errors and figures are named to be obeyed: by a browser, a spreadsheet, a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fakes import quadratic

from fxai.study.objective import Report, TrialRequest

WORDS = (
    "=cmd|'/c calc'!A1 \x1b[2J\x1b]0;owned\x07\x9b31m <img src=x onerror=alert(1)></script><script>alert(1)</script>"
)


def objective(request: TrialRequest) -> Iterator[Report]:
    """Trial 1 fails with hostile words, the others have losses of such names."""
    for report in quadratic(request):
        yield replace(report, train={WORDS: 0.5, "=1+1": 0.1, "@SUM(A1)": 0.2}, device=f"cpu {WORDS}")
        if request.number == 1:
            raise ValueError(f"a formula: {WORDS}")
