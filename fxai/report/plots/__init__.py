"""Plots of a study: figures for a report, and as HTML pages; plotly is imported once something is drawn."""

from fxai.report.plots.drawn import Drawn
from fxai.report.plots.pages import figures, write_plotly_js, write_plots

__all__ = ["Drawn", "figures", "write_plotly_js", "write_plots"]
