from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fxai.report.equity import drawdown, equity_curve_html, thin
from fxai.report.plots import plotly_js

DAY_NS = 86_400 * 10**9


def times(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(n, dtype=np.int64) * DAY_NS  # from 1970-01-01


def own_text(path: Path) -> str:
    """The page without the plotly.js inside it."""
    return path.read_text(encoding="utf-8").replace(plotly_js(), "")


def test_drawdown_is_the_loss_from_the_peak_so_far() -> None:
    # peaks 100, 100, 120, 120; 90/100 − 1 = −10%, 90/120 − 1 = −25%
    np.testing.assert_allclose(drawdown(np.array([100.0, 90.0, 120.0, 90.0])), [0.0, -0.1, 0.0, -0.25])


def test_drawdown_bridges_gaps() -> None:
    np.testing.assert_allclose(drawdown(np.array([np.nan, 100.0, np.nan, 50.0])), [np.nan, 0.0, np.nan, -0.5])


def test_short_curves_are_drawn_whole() -> None:
    np.testing.assert_array_equal(thin(np.ones(4000)), np.arange(4000))


def test_thinning_keeps_ends_peak_and_trough_of_each_stretch() -> None:
    # 8 values, 4 points: one stretch; first 0, lowest at 2, highest at 5, last 7
    assert thin(np.array([1.0, 2.0, 0.0, 3.0, 4.0, 9.0, 5.0, 1.5]), limit=4).tolist() == [0, 2, 5, 7]


def test_thinning_a_long_curve_keeps_the_extremes_and_the_limit() -> None:
    values = np.random.default_rng(0).normal(size=100_003).cumsum()
    kept = thin(values)
    assert len(kept) <= 4000
    assert {0, len(values) - 1, int(values.argmin()), int(values.argmax())} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_thinning_survives_gaps() -> None:
    values = np.full(10_000, np.nan)
    values[5000] = 1.0
    assert 5000 in thin(values)


def test_the_page_is_self_contained_and_shows_metrics(tmp_path: Path) -> None:
    path = equity_curve_html(
        tmp_path / "equity.html",
        title="Backtest",
        times_ns=times(3),
        curves={"agent": np.array([100.0, 110.0, 99.0])},
        metrics={"total_return": -0.01, "n_trades": 4.0},
        notes=["Validation part."],
    )
    assert plotly_js() in path.read_text(encoding="utf-8")
    assert [file.name for file in tmp_path.iterdir()] == ["equity.html"]
    text = own_text(path)
    assert not re.search(r"<script[^>]* src=|https?:", text)
    assert "<td>total_return</td><td>-1.00%</td>" in text
    assert "<p>Validation part.</p>" in text
    assert '"1970-01-01T00:00:00","1970-01-02T00:00:00","1970-01-03T00:00:00"' in text
    assert "are drawn" not in text  # nothing was left out


def test_a_column_of_metrics_per_curve(tmp_path: Path) -> None:
    path = equity_curve_html(
        tmp_path / "equity.html",
        title="Backtest",
        times_ns=times(2),
        curves={"agent": np.array([1.0, 2.0]), "buy and hold": np.array([1.0, np.nan])},
        metrics={"agent": {"sharpe": 1.5}, "buy and hold": {"turnover": 0.1}},
    )
    text = own_text(path)
    assert "<tr><th>metric</th><th>agent</th><th>buy and hold</th></tr>" in text
    assert "<tr><td>sharpe</td><td>1.5</td><td>–</td></tr>" in text
    assert '"y":[1.0,null]' in text


def test_leaving_points_out_is_said(tmp_path: Path) -> None:
    n = 5000
    path = equity_curve_html(
        tmp_path / "e.html", title="t", times_ns=times(n), curves={"a": np.linspace(1, 2, n)}, metrics={}
    )
    assert "Each curve has 5,000 points, of which at most 4,000 are drawn" in own_text(path)


def test_hostile_names_make_no_tags(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>"
    path = equity_curve_html(
        tmp_path / "e.html",
        title=hostile,
        times_ns=times(2),
        curves={hostile: np.array([1.0, 2.0])},
        metrics={hostile: 1.0},
    )
    text = own_text(path)
    assert "<script>alert" not in text
    assert text.count("</script>") == 2  # plotly.js and the figure


def test_curves_of_another_length_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="curve a has 1 values for 2 times"):
        equity_curve_html(tmp_path / "e.html", title="t", times_ns=times(2), curves={"a": np.ones(1)}, metrics={})
    with pytest.raises(ValueError, match="no curve"):
        equity_curve_html(tmp_path / "e.html", title="t", times_ns=times(2), curves={}, metrics={})
