"""What a study teaches: importances, findings, what to do next, and a refined spec.

`kept` holds the words and their file; the statistics behind them are in the other modules, which need numpy and Optuna.
"""

from fxai.report.insights.kept import (
    FORMAT,
    HIGH,
    INSIGHTS,
    LOW,
    Finding,
    Importance,
    Insights,
    StudyState,
    band,
    insights_of,
    lines,
    load_insights,
    write_insights,
)

__all__ = [
    "FORMAT",
    "HIGH",
    "INSIGHTS",
    "LOW",
    "Finding",
    "Importance",
    "Insights",
    "StudyState",
    "band",
    "insights_of",
    "lines",
    "load_insights",
    "write_insights",
]
