"""A trial's files as pictures and tables: learning_curve.svg, equity.svg, config.csv, drawn when they are asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fxai import yaml_strict
from fxai.errors import FxaiError
from fxai.report.curve_files import read_columns, read_plain
from fxai.report.figure import ORANGE
from fxai.report.svg import Line, line_chart
from fxai.report.text import clean, number
from fxai.study.trial_files import EQUITY, LEARNING_CURVE

CONFIG = "config.yaml"

LEARNING_PICTURE, EQUITY_PICTURE, CONFIG_TABLE = "learning_curve.svg", "equity.svg", "config.csv"

_FORMULA = tuple("=+-@＝＋－＠")


def learning_picture(folder: Path, metric: str, default: Path | None = None) -> str | None:
    """The metric over the updates, beside trial 0's; None without a learning curve."""
    curve = read_columns(folder / LEARNING_CURVE)
    if curve is None:
        return None
    lines = [Line(name="this trial", points=curve.points("update", metric))]
    other = read_columns(default / LEARNING_CURVE) if default is not None else None
    if other is not None:
        points = other.points("update", metric)
        lines.append(Line(name=_trial(default), points=points, colour=ORANGE, dashed=True))
    return line_chart(f"{metric} at each evaluation", "update", lines)


def equity_picture(folder: Path, default: Path | None = None) -> str | None:
    """Mean equity over the episodes of the last evaluation; None without an equity curve."""
    curve = read_columns(folder / EQUITY)
    if curve is None:
        return None
    lines = [Line(name="this trial, mean", points=curve.points("bar", "mean"))]
    other = read_columns(default / EQUITY) if default is not None else None
    if other is not None:
        points = other.points("bar", "mean")
        lines.append(Line(name=f"{_trial(default)}, mean", points=points, colour=ORANGE, dashed=True))
    band = (curve.points("bar", "low"), curve.points("bar", "high"))
    return line_chart("Equity, band: 80% of the episodes", "bar of the episode", lines, band)


def _trial(folder: Path | None) -> str:
    return "" if folder is None else f"trial {int(folder.name)}" if folder.name.isdecimal() else folder.name


def config_table(folder: Path, ruler: Path | None = None) -> str | None:
    """Every setting of the trial as CSV, beside the study's base config; None where the config cannot be read."""
    own = _settings(folder / CONFIG)
    if own is None:
        return None
    base = (_settings(ruler) if ruler is not None else None) or {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["setting", "trial", "base", "differs"])
    for name, value in own.items():
        differs = name in base and base[name] != value
        cells = [clean(name), _shown(value), _shown(base.get(name)), "yes" if differs else ""]
        writer.writerow(["'" + cell if cell.startswith(_FORMULA) and not _is_number(cell) else cell for cell in cells])
    return text.getvalue()


def _settings(path: Path) -> dict[str, Any] | None:
    text = read_plain(path)
    if text is None:
        return None
    try:
        data = yaml_strict.loads(text.decode("utf-8"), str(path)).data
    except (FxaiError, UnicodeDecodeError):
        return None
    return dict(_flat(data)) if isinstance(data, Mapping) else None


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    return "" if value is None else clean(number(value), 200)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
