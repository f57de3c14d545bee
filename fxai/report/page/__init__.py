"""report.html: a whole study on one self-contained page, to be shown to a colleague."""

from fxai.report.page.write import write_report

__all__ = ["write_report"]
