"""The pages of a study's plots: what they load, how they are written, and that no name in them is obeyed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, create_trial

from fxai.errors import InputError
from fxai.report.figure import plotly_js
from fxai.report.plots import figures, write_plots
from fxai.report.plots.points import MAX_POINTS
from fxai.study.spec import StudySpec

AddTrial = Callable[..., FrozenTrial]

PAGES = [
    "optimization_history.html",
    "param_importances.html",
    "parallel_coordinate.html",
    "slice_plot.html",
    "contour_plot.html",
    "edf.html",
    "timeline.html",
    "intermediate_values.html",
]


def test_every_plot_has_its_page(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    assert [path.name for path in write_plots(finished, spec, tmp_path)] == PAGES
    assert sorted(path.name for path in tmp_path.glob("*.html")) == sorted(PAGES)


def test_several_objectives_have_the_front_first_and_one_has_none(
    study: optuna.Study, spec: StudySpec, two_objectives: StudySpec, tmp_path: Path
) -> None:
    both = optuna.create_study(directions=["maximize", "minimize"])
    both.add_trial(create_trial(values=[1.0, 0.1]))
    names = [path.name for path in write_plots(both, two_objectives, tmp_path)]
    assert names == ["pareto_front.html", *PAGES]
    write_plots(study, spec, tmp_path)  # another study of that name: the old front would lie about it
    assert not (tmp_path / "pareto_front.html").exists()


def test_pages_lead_to_each_other(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    for path in write_plots(finished, spec, tmp_path):
        links = re.findall(r'<a href="([^"]*)"', path.read_text(encoding="utf-8"))
        assert [*links, path.name] == sorted([*links, path.name], key=[*links, path.name].index)
        assert set(links) | {path.name} == set(PAGES)


def test_each_page_says_how_to_read_it_where_something_is_drawn(
    finished: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    drawn = {plot.name: plot for plot in figures(finished, spec)}
    for path in write_plots(finished, spec, tmp_path):
        text, plot = path.read_text(encoding="utf-8"), drawn[path.stem]
        assert ("How to read it: " in text) == (plot.figure is not None)
        assert ("Plotly.newPlot" in text) == (plot.figure is not None)
        assert plot.figure is not None or plot.remark


def test_several_objectives_offer_a_choice_of_the_metric(two_objectives: StudySpec, tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    rate = optuna.distributions.FloatDistribution(0.0, 1.0)
    for i in range(3):
        study.add_trial(create_trial(values=[i, -i], params={"a.b": i / 2}, distributions={"a.b": rate}))
    (plot,) = (plot for plot in figures(study, two_objectives) if plot.name == "slice_plot")
    assert [metric for metric, _ in plot.by_metric] == ["sharpe", "max_drawdown"]
    assert plot.figure is plot.by_metric[0][1]
    assert [figure.data[0].y for _, figure in plot.by_metric] == [(0.0, 1.0, 2.0), (0.0, -1.0, -2.0)]
    (path,) = (path for path in write_plots(study, two_objectives, tmp_path) if path.stem == "slice_plot")
    assert "<option>sharpe</option><option>max_drawdown</option>" in path.read_text(encoding="utf-8")


def test_long_studies_are_thinned_and_say_so(study: optuna.Study, spec: StudySpec, add: AddTrial) -> None:
    # 3,000 values of which the middle one is the best: an even choice of 2,000 may leave it out, its star stays
    for i in range(3000):
        study.add_trial(create_trial(value=0.5 if i == 1501 else i / 1e6))
    (plot,) = (plot for plot in figures(study, spec) if plot.name == "optimization_history")
    traces = {trace.name: trace for trace in plot.figure.data}  # type: ignore[union-attr]
    assert len(traces["complete"].x) == MAX_POINTS == 2000
    assert traces["best"].x == (1501,)
    assert (traces["complete"].x[0], traces["complete"].x[-1]) == (0, 2999)
    assert "Of the 3,000 completed trials at most 2,000" in plot.remark
    # the running best rises with each trial up to the best: its vertices are trials 0 to 1501 and the last
    assert len(traces["running best"].x) == 1503


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_a_page_for_any_number_of_trials(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path, n: int
) -> None:
    for number in range(n):
        add(0.1 * number)
    path = write_plots(study, spec, tmp_path)[0]
    text = path.read_text(encoding="utf-8")
    assert path.name == "optimization_history.html"
    assert ("There is nothing to draw yet." in text) == (n == 0)
    assert ("One completed trial: there is no history to see yet." in text) == (n == 1)
    assert ("Plotly.newPlot" in text) == (n > 0)


def test_the_page_loads_only_the_plotly_beside_it(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    path, *_ = write_plots(finished, spec, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert (tmp_path / "plotly.min.js").read_text(encoding="utf-8") == plotly_js()
    assert re.findall(r'<script[^>]* src="([^"]*)"', text) == ["plotly.min.js"]
    assert "http:" not in text
    assert "https:" not in text


def test_figures_cannot_be_uploaded(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    path, *_ = write_plots(finished, spec, tmp_path)
    assert "showSendToCloud: false, plotlyServerURL: ''" in path.read_text(encoding="utf-8")
    assert "showSendToCloud" in plotly_js()  # the option still has that name


def test_plotly_js_is_written_once(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    write_plots(finished, spec, tmp_path)
    before = (tmp_path / "plotly.min.js").stat()
    write_plots(finished, spec, tmp_path)
    after = (tmp_path / "plotly.min.js").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    (tmp_path / "plotly.min.js").write_text("torn", encoding="utf-8")
    write_plots(finished, spec, tmp_path)
    assert (tmp_path / "plotly.min.js").read_text(encoding="utf-8") == plotly_js()


def test_a_link_in_the_place_of_plotly_js_is_refused(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.js").write_text(plotly_js(), encoding="utf-8")
    (tmp_path / "plotly.min.js").symlink_to(tmp_path / "elsewhere.js")
    with pytest.raises(InputError, match="symbolic link"):
        write_plots(finished, spec, tmp_path)


def test_hostile_parameter_values_make_no_tags(study: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>"
    choices = optuna.distributions.CategoricalDistribution([hostile])
    study.add_trial(create_trial(value=0.1, params={hostile: hostile}, distributions={hostile: choices}))
    path = write_plots(study, spec, tmp_path)[0]
    text = path.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert text.count("</script>") == 2  # plotly.min.js and the figure


def test_importing_the_reports_does_not_import_plotly_torch_or_pandas() -> None:
    code = (
        "import sys, fxai.report.plots, fxai.report.equity, fxai.report.results, fxai.report.summary\n"
        "import fxai.report.terminal\n"
        "print(sorted({'plotly', 'torch', 'pandas', 'wandb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_optuna_and_plotly_as_pinned_work_together(finished: optuna.Study) -> None:
    # later plots use optuna.visualization; warnings are errors here
    from optuna.visualization import plot_optimization_history

    assert len(plot_optimization_history(finished).data) >= 2
