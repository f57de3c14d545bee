"""What each plot computes, against numbers worked out by hand or a second implementation."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.report.insights import Importance
from fxai.report.outcome import outcome_of
from fxai.report.plots import contour, curves, edf, importances, parallel, pareto, slices, timeline
from fxai.report.plots.axes import parameter_axes
from fxai.report.plots.grid import Grid, panel_layout
from fxai.report.plots.subject import Subject
from fxai.report.plots.timeline import Span
from fxai.report.plots.weights import Weights

AddTrial = Callable[..., FrozenTrial]
START = datetime(2026, 3, 1, 12, 0, 0)
RATE, KIND = FloatDistribution(0.0, 1.0), CategoricalDistribution(["a", "b"])


def study_of(*trials: FrozenTrial, directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    study = optuna.create_study(directions=list(directions))
    study.add_trials(list(trials))
    return study


def subject_of(study: optuna.Study, *metrics: str, ranked: tuple[str, ...] = ()) -> Subject:
    outcome = outcome_of(study, metrics or ("mean_reward",))
    share = {"band": "high", "low": 0.1, "high": 0.3, "clear": True}
    told = tuple(Importance.model_validate({"name": name, "value": 0.2, **share}) for name in ranked)
    axes = parameter_axes(outcome.trials, ranked)
    return Subject(outcome=outcome, axes=axes, weights=Weights(told, ""))


def done(value: float, params: dict[str, Any] | None = None, **kwargs: Any) -> FrozenTrial:
    params = params or {}
    kinds = {name: KIND if isinstance(given, str) else RATE for name, given in params.items()}
    return create_trial(value=value, params=params, distributions=kinds, **kwargs)


# contour


def test_the_surface_is_the_weighted_mean_of_nearby_trials() -> None:
    rng = np.random.default_rng(5)
    near_XN, near_YN, value_N = rng.uniform(0.5, 1, (3, 7)), rng.uniform(0.5, 1, (2, 7)), rng.normal(size=7)
    got_YX = contour.smoothed(near_XN, near_YN, value_N)
    for y in range(2):
        for x in range(3):
            weights = [near_XN[x, n] * near_YN[y, n] for n in range(7)]
            mean = sum(w * v for w, v in zip(weights, value_N, strict=True)) / sum(weights)
            # exp(−1.5² / 2) = 0.3247: the nearest trial's weight decides whether anything is drawn
            expected = mean if max(weights) >= 0.3247 else math.nan
            np.testing.assert_allclose(got_YX[y, x], expected)


def test_the_surface_is_blank_where_no_trial_was() -> None:
    trials = [done(i / 20, {"a.x": i / 40, "a.y": i / 40}) for i in range(20)]  # all below 0.5
    subject = subject_of(study_of(*trials))
    (pair,) = contour.contour_pairs(subject)
    x, y, z_YX = contour._surface(subject, *pair, 0)
    assert (x[0], x[-1], y[0], y[-1]) == (0.0, 1.0, 0.0, 1.0)
    assert np.isnan(z_YX[-1, -1])
    assert not np.isnan(z_YX[0, 0])
    # on the diagonal the values rise with the place
    diagonal = z_YX.diagonal()[:12]
    assert (np.diff(diagonal) > 0).all()


def test_categories_do_not_bleed_into_each_other() -> None:
    trials = [done(float(i % 2), {"a.kind": "ab"[i % 2], "a.x": i / 20}) for i in range(20)]
    subject = subject_of(study_of(*trials), ranked=("a.kind", "a.x"))
    (pair,) = contour.contour_pairs(subject)
    x, _, z_YX = contour._surface(subject, *pair, 0)
    assert x == [0.0, 1.0]
    # all trials of `a` have 0 and all of `b` have 1, wherever they are
    assert np.nanmax(np.abs(z_YX[:, 0])) == pytest.approx(0.0)
    np.testing.assert_allclose(z_YX[~np.isnan(z_YX[:, 1]), 1], 1.0)


def test_pairs_are_of_the_most_important_parameters_that_vary() -> None:
    rng = np.random.default_rng(0)
    names = ["a.a", "a.b", "a.c", "a.d", "a.e", "a.still"]

    def params() -> dict[str, Any]:
        return {name: 0.5 if name == "a.still" else float(rng.uniform()) for name in names}

    subject = subject_of(study_of(*(done(0.1 * i, params()) for i in range(12))), ranked=("a.still", "a.e", "a.d"))
    pairs = [(first.name, second.name) for first, second in contour.contour_pairs(subject)]
    # a.still never varies; then the important ones, then the others in their order, four in all
    assert pairs == [("a.e", "a.d"), ("a.e", "a.a"), ("a.e", "a.b"), ("a.d", "a.a"), ("a.d", "a.b"), ("a.a", "a.b")]
    few = subject_of(study_of(*(done(0.1 * i, params()) for i in range(9))))
    assert contour.contour_pairs(few) == []
    assert contour.contour(few).figure is None
    assert "at least 10 completed trials" in contour.contour(few).remark


def test_one_broken_training_does_not_flatten_the_surface() -> None:
    trials = [done(-1000.0 if i == 7 else i / 20, {"a.x": i / 20, "a.y": (7 * i % 20) / 20}) for i in range(20)]
    drawn = contour.contour(subject_of(study_of(*trials)))
    surface = drawn.figure.data[0]  # type: ignore[union-attr]
    assert surface.zmin > -2.0  # it counts with the edge of the others' range
    assert "1 trial far from the others" in drawn.remark


# distribution


def test_the_distribution_rises_by_an_equal_step_at_each_value() -> None:
    assert edf.steps([3.0, 1.0, 2.0, 2.0]) == ([1.0, 1.0, 2.0, 2.0, 3.0], [0.0, 0.25, 0.5, 0.75, 1.0])
    assert edf.steps([0.5]) == ([0.5, 0.5], [0.0, 1.0])


def test_best_and_default_lie_on_the_curve() -> None:
    # values 0.2 (trial 0, the default), 0.1, 0.4, 0.3: two of four are at most 0.2, all four at most 0.4
    subject = subject_of(study_of(*(done(value) for value in (0.2, 0.1, 0.4, 0.3))))
    marks = {trace.name: (trace.x, trace.y) for trace in edf.edf(subject).figure.data}  # type: ignore[union-attr]
    assert marks["default config"] == ((0.2,), (0.5,))
    assert marks["best"] == ((0.4,), (1.0,))


def test_a_long_distribution_keeps_its_ends() -> None:
    x, y = edf.steps([float(i) for i in range(10_000)])
    assert len(x) == edf.MAX_STEPS + 1
    assert (x[0], x[-1], y[-1]) == (0.0, 9999.0, 1.0)


# timeline


def test_stretches_are_merged_and_pauses_found() -> None:
    spans = [Span(0, 10), Span(5, 20), Span(100, 110), Span(21, 30)]
    assert timeline.busy_spans(spans, 0.0) == [Span(0, 20), Span(21, 30), Span(100, 110)]
    assert timeline.busy_spans(spans, 5.0) == [Span(0, 30), Span(100, 110)]
    # 39 s of work: a pause counts from 120 s on
    assert timeline.stretches(spans) == [Span(0, 110)]
    assert timeline.stretches([*spans, Span(300, 310)]) == [Span(0, 110), Span(300, 310)]


def test_moments_are_placed_without_the_pause() -> None:
    parts = [Span(0, 110), Span(300, 310)]
    # 304 is 4 s into the second part, behind the first's 110 s and a gap of 2 s
    assert [timeline._offset_s(moment, parts, 2.0) for moment in (0, 50, 110, 300, 304)] == [0, 50, 110, 112, 116]


def test_at_once_counts_trials_that_ran_side_by_side() -> None:
    assert timeline._at_once([Span(0, 10), Span(10, 20)]) == 1  # one ends as the other starts
    assert timeline._at_once([Span(0, 10), Span(5, 20), Span(6, 7)]) == 3


def test_bars_by_state_and_the_pause_between_two_runs(study: optuna.Study, add: AddTrial) -> None:
    add(0.1)  # 12:00:00 to 12:00:10
    add(None, TrialState.PRUNED)
    add(None, TrialState.FAIL, user_attrs={"requeued_as": 3})
    last = add(0.4)
    # the second run is a day later; the study keeps copies, so a new one gets the changed trial
    shifted = [*study.trials[:3], last]
    last.datetime_start, last.datetime_complete = START + timedelta(days=1), START + timedelta(days=1, seconds=30)
    drawn = timeline.timeline(subject_of(study_of(*shifted)))
    bars = {trace.name: trace for trace in drawn.figure.data}  # type: ignore[union-attr]
    assert bars["pruned"].y == (1,)
    assert bars["requeued"].y == (2,)
    # 10 s and 30 s of work; the gap left of the pause is 2% of 40 s, so the last bar starts at 10.8 s
    assert bars["complete"].base == (0.0, 10.8)
    assert bars["complete"].x == (10.0, 30.0)
    assert "Pauses in which nothing ran were cut out: 1" in drawn.remark
    # 3 trials of 10 s side by side, then one of 30 s, in 40 s: 60 / 40 = 1.5
    assert "1.5 trials at a time on average, at most 3" in drawn.remark


def test_a_trial_that_runs_lasts_until_the_last_sign_of_life(study: optuna.Study, add: AddTrial) -> None:
    add(0.1)
    add(None, TrialState.RUNNING)
    bars = {trace.name: trace for trace in timeline.timeline(subject_of(study)).figure.data}  # type: ignore[union-attr]
    assert bars["running"].x == (10.0,)


# parallel coordinates


def test_lines_are_bundled_by_fifths_of_the_value() -> None:
    subject = subject_of(study_of(*(done(float(i), {"a.x": i / 10}) for i in range(10))), ranked=("a.x",))
    figure = parallel.parallel(subject).figure
    lines = {trace.name: trace for trace in figure.data}  # type: ignore[union-attr]
    # ten trials of values 0 to 9: the best fifth are 9 and 8; each line has two points and a gap
    assert lines["best fifth"].x == (0.0, 1.0, None, 0.0, 1.0, None)
    assert lines["best fifth"].y == (1.0, 0.9, None, pytest.approx(8 / 9, abs=1e-5), 0.8, None)
    assert lines["worst fifth"].text[0] == "trial 1<br>mean_reward 1"
    assert lines["best"].y == lines["best fifth"].y[:3]
    assert lines["default config"].y == (0.0, 0.0, None)


def test_of_a_minimised_metric_the_lowest_are_the_best() -> None:
    study = study_of(*(done(float(i), {"a.x": 0.5}) for i in range(5)), directions=("minimize",))
    figure = parallel.parallel(subject_of(study)).figure
    lines = {trace.name: trace for trace in figure.data}  # type: ignore[union-attr]
    assert lines["best fifth"].text[0] == "trial 0<br>mean_reward 0"


def test_a_parameter_that_was_not_searched_has_a_place_of_its_own() -> None:
    trials = [done(0.1, {"a.x": 0.5, "a.y": 1.0}), done(0.2, {"a.x": 0.5})]
    figure = parallel.parallel(subject_of(study_of(*trials))).figure
    (both,) = (trace for trace in figure.data if trace.name == "2 complete trials")  # type: ignore[union-attr]
    assert both.y[2] == parallel.NOT_SEARCHED  # of trial 1, the better
    assert both.text[2] == "trial 1<br>y: not searched"
    assert both.y[6] == 1.0


def test_a_long_study_keeps_its_best_lines() -> None:
    study = study_of(*(done(float(i), {"a.x": 0.5}) for i in range(1000)))
    drawn = parallel.parallel(subject_of(study))
    lines = {trace.name: trace for trace in drawn.figure.data}  # type: ignore[union-attr]
    fifths = [lines[name] for name in parallel.FIFTHS]
    assert sum(len(trace.x) // 3 for trace in fifths) == parallel.MAX_LINES == 250
    best = {text.split("<br>")[0] for text in lines["best fifth"].text if text}
    assert {f"trial {number}" for number in range(950, 1000)} <= best
    assert "250 are drawn" in drawn.remark


# slices


def test_a_panel_shows_the_trials_that_searched_its_parameter() -> None:
    trials = [done(0.1, {"a.x": 0.5, "a.y": 1.0}), done(0.2, {"a.x": 0.25})]
    figure = slices.slices(subject_of(study_of(*trials), ranked=("a.y", "a.x"))).figure
    panels = {(trace.xaxis, trace.name): (trace.x, trace.y) for trace in figure.data}  # type: ignore[union-attr]
    assert panels["x", "complete"] == ((1.0,), (0.1,))  # the most important comes first
    assert panels["x2", "complete"] == ((0.5, 0.25), (0.1, 0.2))
    assert panels["x2", "best"] == ((0.25,), (0.2,))
    assert panels["x", "best"] == ((), ())
    assert figure.layout.yaxis2.matches == "y"  # type: ignore[union-attr]


def test_no_more_points_than_a_browser_takes() -> None:
    trials = [done(i / 700, {f"a.p{k}": 0.5 for k in range(40)}) for i in range(700)]
    drawn = slices.slices(subject_of(study_of(*trials)))
    complete = [trace for trace in drawn.figure.data if trace.name == "complete"]  # type: ignore[union-attr]
    # 36 panels of 12,000 // 36 = 333 points
    assert [len(trace.x) for trace in complete] == [333] * 36
    assert "4 parameters of least importance are not shown" in drawn.remark
    assert "at most 333" in drawn.remark


# learning curves


def test_curves_by_how_the_trial_ended_with_gaps_between_them() -> None:
    study = study_of(
        done(0.1, intermediate_values={4: 0.0, 8: 0.1}),
        create_trial(state=TrialState.PRUNED, intermediate_values={4: -0.1}),
        create_trial(state=TrialState.PRUNED, intermediate_values={4: math.nan, 8: -0.2}),
        done(0.3, intermediate_values={4: 0.2, 8: math.inf, 12: 0.3}),
    )
    figure = curves.curves(subject_of(study)).figure
    lines = {trace.name: (trace.x, trace.y) for trace in figure.data}  # type: ignore[union-attr]
    assert lines["pruned"] == ((4, None, 8, None), (-0.1, None, -0.2, None))
    assert lines["default config"] == ((4, 8, None), (0.0, 0.1, None))
    assert lines["best"] == ((4, 12, None), (0.2, 0.3, None))  # an infinite report has no place


def test_long_curves_keep_their_ends() -> None:
    study = study_of(done(1.0, intermediate_values={step: step / 1000 for step in range(1, 1001)}))
    drawn = curves.curves(subject_of(study))
    (line,) = (trace for trace in drawn.figure.data if trace.name == "best")  # type: ignore[union-attr]
    assert len(line.x) == curves.MAX_REPORTS + 1
    assert (line.x[0], line.x[-2]) == (1, 1000)
    assert "more than 60 reports" in drawn.remark


# Pareto front


def test_the_front_is_ringed_and_its_edge_drawn() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(1.0, 0.1), (3.0, 0.3), (2.0, 0.4)]:  # the third is beaten by the second
        study.add_trial(create_trial(values=values))
    figure = pareto.pareto(subject_of(study, "sharpe", "max_drawdown")).figure
    by_name = {trace.name: (trace.x, trace.y) for trace in figure.data}  # type: ignore[union-attr]
    assert by_name["Pareto front"] == ((1.0, 3.0), (0.1, 0.3))
    (edge,) = (trace for trace in figure.data if trace.mode == "lines")  # type: ignore[union-attr]
    # more x is better: from (1, 0.1) the reached y rises at once, since (2, 0.2) is beaten by nobody yet
    assert edge.line.shape == "vh"
    assert figure.layout.xaxis.title.text == "sharpe (maximize)"  # type: ignore[union-attr]


@pytest.mark.parametrize(("metrics", "panels"), [(2, 1), (3, 3), (5, 6)])
def test_a_panel_for_each_pair_of_metrics(metrics: int, panels: int) -> None:
    study = optuna.create_study(directions=["maximize"] * metrics)
    study.add_trial(create_trial(values=[1.0] * metrics))
    drawn = pareto.pareto(subject_of(study, *(f"m{i}" for i in range(metrics))))
    fronts = [trace for trace in drawn.figure.data if trace.name == "Pareto front"]  # type: ignore[union-attr]
    assert len(fronts) == panels
    assert ("Of 10 pairs of metrics the first 6 are shown." in drawn.remark) == (metrics == 5)


# importances


def test_bars_that_may_be_luck_are_pale() -> None:
    def importance(name: str, value: float, clear: bool) -> Importance:
        told = {"name": name, "value": value, "band": "high", "low": value / 2, "high": 2 * value, "clear": clear}
        return Importance.model_validate(told)

    figure = importances.importance_figure([importance("a.x", 0.4, True), importance("a.y", 0.2, False)])
    sure, luck = figure.data
    assert (sure.name, sure.y, sure.x) == ("told apart from luck", (0,), (0.4,))
    assert (luck.name, luck.y, luck.x) == ("may be luck", (1,), (0.2,))
    assert int(luck.marker.color[7:], 16) < int(sure.marker.color[7:], 16)  # alpha, paler
    assert (sure.error_x.array, sure.error_x.arrayminus) == ((0.4,), (0.2,))
    assert figure.layout.yaxis.ticktext == ("x", "y")


# panels


def test_panels_fill_rows_from_the_left_and_do_not_touch() -> None:
    grid = Grid(panels=5, most=3, width=300, height=100, gap_x=20, gap_y=30, shared=True, top=0, bottom=0)
    assert grid.columns == 3
    assert grid.height_px == 170  # two rows of 100 without the gap below the last
    axis = {"title": {"text": "y"}}
    layout = panel_layout(grid, [{}] * 5, [axis] * 5)
    # 1,010 px across: cells of (1010 + 20) / 3 = 343.33, of which 323.33 are the panel; the rows are 70 of 170 px high
    assert layout["xaxis2"]["domain"] == pytest.approx([343.333 / 1010, 666.667 / 1010], abs=1e-4)
    assert layout["yaxis"]["domain"] == pytest.approx([100 / 170, 1.0], abs=1e-4)
    assert layout["yaxis4"]["domain"] == pytest.approx([0.0, 70 / 170], abs=1e-4)
    assert [layout[f"yaxis{i}"]["title"]["text"] for i in ("", 2, 4)] == ["y", "", "y"]
