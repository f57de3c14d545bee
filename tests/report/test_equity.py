from __future__ import annotations

import numpy as np
import pytest

from fxai.report.equity import curves_figure, drawdown, hidden_curves, means, thin, thinned_note

DAY_NS = 86_400 * 10**9


def times(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(n, dtype=np.int64) * DAY_NS  # from 1970-01-01


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


def test_means_are_of_equal_stretches() -> None:
    # 6 values, 3 points: (1 + 3)/2, (5 + 7)/2, (9 − 1)/2, each at the time of its first
    at_ns, mean = means(times(6), np.array([1.0, 3.0, 5.0, 7.0, 9.0, -1.0]), limit=3)
    assert mean.tolist() == [2.0, 6.0, 4.0]
    assert (at_ns // DAY_NS).tolist() == [0, 2, 4]
    few = np.array([1.0, 2.0])
    assert means(times(2), few)[1] is few


def test_a_curve_far_above_the_first_is_hidden() -> None:
    # +30% beside +10%: 3 times, drawn; +160% is beyond 5 · max(10%, 20%)
    curves = {"agent": np.array([1.0, 1.1]), "near": np.array([1.0, 1.3]), "far": np.array([1.0, 2.6])}
    assert hidden_curves(curves) == ["far"]
    assert hidden_curves({"agent": np.array([1.0, 3.0]), "far": np.array([1.0, 2.6])}) == []


def test_the_figure_draws_equity_drawdown_and_exposure() -> None:
    figure = curves_figure(
        times(3), {"agent": np.array([1.0, 1.1, 0.99]), "b": np.array([1.0, np.nan, 9.0])}, {"net": np.zeros(3)}
    )
    equity, fall, _, _, exposure = figure.data
    assert list(equity.x) == ["1970-01-01T00:00:00", "1970-01-02T00:00:00", "1970-01-03T00:00:00"]
    assert list(equity.y) == [1.0, 1.1, 0.99]
    # 0.99/1.1 − 1
    np.testing.assert_allclose(fall.y, [0.0, 0.0, -0.1])
    assert [trace.visible for trace in figure.data] == [True, True, "legendonly", "legendonly", True]
    assert list(figure.data[2].y) == [1.0, None, 9.0]
    assert list(exposure.y) == [0.0, 0.0, 0.0]


def test_leaving_points_out_is_said() -> None:
    assert thinned_note(4000) == []
    assert "Each curve has 5,000 points, of which at most 4,000 are drawn" in thinned_note(5000)[0]
    figure = curves_figure(times(5000), {"a": np.linspace(1, 2, 5000)}, {})
    assert len(figure.data[0].x) <= 4000


def test_curves_of_another_length_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="curve a has 1 values for 2 times"):
        curves_figure(times(2), {"a": np.ones(1)}, {})
    with pytest.raises(ValueError, match="no curve"):
        curves_figure(times(2), {}, {})
