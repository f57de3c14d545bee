"""report.html put together: one file that loads nothing, with plotly in it once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fxai.files import ensure_writable_dir, write_text_atomic
from fxai.report.figure import draw, draw_choice, plotly_js, selector
from fxai.report.html import escape, heading, page, paragraphs
from fxai.report.page import curves, headline, lessons, provenance, trials
from fxai.report.page.style import STYLE
from fxai.report.page.subject import Told, read
from fxai.report.plots import Drawn, figures
from fxai.report.results import REPORT

if TYPE_CHECKING:
    import optuna

    from fxai.study.spec import StudySpec


def write_report(study: optuna.Study, spec: StudySpec, folder: Path) -> Path:
    """Write report.html into the study's folder; returns its path.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    ensure_writable_dir(folder)
    path = folder / REPORT
    write_text_atomic(path, report_page(read(study, spec, folder), figures(study, spec, folder)))
    return path


def report_page(told: Told, plots: Sequence[Drawn]) -> str:
    """The whole document."""
    ours = [curves.equity(told), curves.training(told)]
    found = {plot.name: plot for plot in plots}
    learned = found.get("intermediate_values")
    others = [plot for plot in plots if plot is not learned]
    sections = [
        ("result", headline.headline(told)),
        ("comparison", headline.comparison(told)),
        ("equity", _section(ours[0])),
        ("insights", lessons.lessons(told)),
        ("next", lessons.next_steps(told)),
        ("parameters", lessons.parameters(told)),
        ("learning", "\n".join(_section(plot) for plot in (learned, ours[1]) if plot is not None)),
        ("plots", "\n".join(_section(plot) for plot in others)),
        ("trials", trials.trials(told)),
        ("provenance", provenance.provenance(told)),
    ]
    body = [_contents([name for name, text in sections if text])]
    body += [f'<section id="about-{name}">\n{text}\n</section>' for name, text in sections if text]
    scripts = [_drawing(plot) for plot in [*ours, *plots] if plot.figure is not None]
    library = [plotly_js().replace("</script", "<\\/script"), _LAZY] if scripts else []
    return page(
        title=f"Study {told.spec.study_name}",
        body="\n".join(body),
        scripts=[*library, *scripts, trials.SORT],
        style=STYLE,
    )


_TITLES = {
    "result": "Result",
    "comparison": "Comparison",
    "equity": "Equity",
    "insights": "What it shows",
    "next": "Next",
    "parameters": "Parameters",
    "learning": "Learning",
    "plots": "Plots",
    "trials": "Trials",
    "provenance": "Provenance",
}


def _contents(names: Sequence[str]) -> str:
    links = " · ".join(f'<a href="#about-{name}">{escape(_TITLES[name])}</a>' for name in names[1:])
    return f'<nav class="note">{links}</nav>'


def _section(plot: Drawn) -> str:
    """A plot with how to read it; a sentence where there is none."""
    title = plot.title[:1].upper() + plot.title[1:]
    parts = [heading(title), paragraphs([plot.remark] if plot.remark else [])]
    if plot.figure is not None:
        parts.append(paragraphs([plot.reading], "note"))
        if plot.by_metric:
            parts.append(selector(plot.name, "metric", [name for name, _ in plot.by_metric]))
        least = f"; min-width: {plot.min_width_px}px" if plot.min_width_px else ""
        parts.append(
            f'<div class="scroll"><div class="figure" id="{plot.name}" style="height: {plot.height_px}px{least}">'
            "This figure needs JavaScript.</div></div>"
        )
    return "\n".join(part for part in parts if part)


def _drawing(plot: Drawn) -> str:
    """Script that draws the plot once it comes near the window."""
    several = [figure for _, figure in plot.by_metric]
    code = draw_choice(several, plot.name) if several else draw(plot.figure, plot.name)
    return f"whenNear('{plot.name}', () => {{ {code} }});"


_LAZY = """
const waiting = new Map();
const drawNow = element => { const f = waiting.get(element); waiting.delete(element); if (f) f(); };
const near = new IntersectionObserver(
  seen => seen.forEach(each => { if (each.isIntersecting) { near.unobserve(each.target); drawNow(each.target); } }),
  {rootMargin: '600px'});
const whenNear = (name, f) => {
  const element = document.getElementById(name);
  waiting.set(element, f);
  near.observe(element);
};
addEventListener('beforeprint', () => [...waiting.keys()].forEach(drawNow));
"""
"""A page of a dozen figures opens at once: each is drawn when it comes near the window, all of them before printing."""
