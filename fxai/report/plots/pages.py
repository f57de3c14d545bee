"""The plots as pages of a study's folder: one HTML file each, all with the one plotly.min.js beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from fxai.files import ensure_writable_dir, write_bytes_atomic, write_text_atomic
from fxai.report.figure import PLOTLY_JS, draw, draw_choice, place, plotly_js, selector
from fxai.report.html import escape, page, paragraphs
from fxai.report.outcome import Outcome
from fxai.report.plots.contour import contour
from fxai.report.plots.curves import curves
from fxai.report.plots.drawn import Drawn
from fxai.report.plots.edf import edf
from fxai.report.plots.history import history
from fxai.report.plots.importances import importances
from fxai.report.plots.parallel import parallel
from fxai.report.plots.pareto import pareto
from fxai.report.plots.slices import slices
from fxai.report.plots.subject import Subject, subject_of
from fxai.report.plots.timeline import timeline
from fxai.report.results import sentences
from fxai.report.text import number

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec

PLOTS = (history, importances, parallel, slices, contour, edf, timeline, curves)
"""In the order in which a reader wants them; the Pareto front comes first where there is one."""

PARETO = "pareto_front.html"


def figures(study: optuna.Study, spec: StudySpec, folder: Path | None = None) -> list[Drawn]:
    """Every plot of the study as it is now, also those for which there is too little data yet.

    Args:
        study: any study of the spec.
        spec: its spec.
        folder: the study's results folder, whose insights are taken if they are of this state of the study.
    """
    return drawn_of(subject_of(study, spec, folder))


def drawn_of(subject: Subject) -> list[Drawn]:
    """The plots of a study that was read."""
    several = len(subject.metrics) > 1
    return [plot(subject) for plot in ((pareto, *PLOTS) if several else PLOTS)]


def write_plots(study: optuna.Study, spec: StudySpec, folder: Path) -> list[Path]:
    """Write a page for each plot, and the plotly.min.js that they load.

    Returns:
        The pages written.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    ensure_writable_dir(folder)
    write_plotly_js(folder)
    subject = subject_of(study, spec, folder)
    drawn = drawn_of(subject)
    said = {"optimization_history": sentences(study, spec, folder, subject.outcome)}
    paths = []
    for plot in drawn:
        path = folder / f"{plot.name}.html"
        text = plot_page(plot, spec.study_name, counted(subject.outcome), drawn, said.get(plot.name, ()))
        write_text_atomic(path, text)
        paths.append(path)
    if len(subject.metrics) == 1:  # of a study that had this name before
        (folder / PARETO).unlink(missing_ok=True)
    return paths


def write_plotly_js(folder: Path) -> None:
    """Put plotly.min.js into the folder, unless that version is there already."""
    script, path = plotly_js().encode("utf-8"), folder / PLOTLY_JS
    if path.is_symlink() or not path.is_file() or path.read_bytes() != script:
        write_bytes_atomic(path, script)


def plot_page(plot: Drawn, study: str, counts: str, others: Sequence[Drawn], said: Sequence[str] = ()) -> str:
    """One page: the way to the others, what the study came to, how to read the plot, and the plot.

    Args:
        plot: what is drawn.
        study: the study's name.
        counts: of its trials, a sentence.
        others: the plots that have a page beside this one.
        said: sentences of the study that belong to this plot.
    """
    links = [_link(other, other is plot) for other in others]
    body = [f'<p class="note">{" · ".join(links)}</p>', paragraphs([counts, *([plot.remark] if plot.remark else [])])]
    body.append(paragraphs(said))
    if plot.figure is None:
        return page(title=f"{study}: {plot.title}", body="\n".join(filter(None, body)))
    body.append(paragraphs([f"How to read it: {plot.reading}"], "note"))
    shown = [figure for _, figure in plot.by_metric]
    if shown:
        body.append(selector(plot.name, "metric", [name for name, _ in plot.by_metric]))
    body.append(place(plot.name, plot.height_px, plot.min_width_px))
    return page(
        title=f"{study}: {plot.title}",
        body="\n".join(filter(None, body)),
        script_files=[PLOTLY_JS],
        scripts=[draw_choice(shown, plot.name) if shown else draw(plot.figure, plot.name)],
    )


def _link(plot: Drawn, here: bool) -> str:
    return f"<b>{escape(plot.title)}</b>" if here else f'<a href="{escape(plot.name)}.html">{escape(plot.title)}</a>'


def counted(outcome: Outcome) -> str:
    """Trials by state, the best value and the default's, in one or two sentences."""
    states = ("complete", "pruned", "fail", "running", "waiting", "requeued")
    words = {"fail": "failed"}
    told = [f"{outcome.counts[state]} {words.get(state, state)}" for state in states if outcome.counts[state]]
    line = f"Trials: {', '.join(told) or 'none'}."
    if outcome.best is not None:
        line += f" Best: trial {outcome.best.number}, {outcome.metric_names[0]} {number(outcome.best.values[0])}"
        default = outcome.default_value
        line += "." if default is None else f"; {outcome.start} {number(default)}."
    return line
