"""Tables, facts and lists of commands on a terminal of any width; texts are printed as they are, never as markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fxai.report.text import clean, wrapped


def print_facts(console: Console, facts: Sequence[tuple[str, str]], width: int = 8) -> None:
    """A fact after its name; what does not fit on the line goes on below the fact, broken at blanks."""
    for name, value in facts:
        lines = wrapped(value, max(20, console.width - width), indent="").splitlines() or [""]
        for i, line in enumerate(lines):
            console.print(Text(f"{'' if i else name:<{width}}{line}"), soft_wrap=True)


def print_table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A table after an empty line; nothing without rows.

    Args:
        console: where to print.
        header: of the columns.
        rows: cells, already clean.
        left: columns, from the first, that hold words and start at their left edge.
    """
    if not rows:
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i, name in enumerate(header):
        table.add_column(Text(name), justify="left" if i < left else "right", overflow="fold", vertical="bottom")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print()
    console.print(table)


def print_list(console: Console, title: str, items: Sequence[tuple[str, str]]) -> None:
    """One item a line, never broken, so that it can be copied; what it does is said where there is room."""
    console.print()
    console.print(Text(title, style="bold"))
    for item, what in items:
        line = f"  {clean(item, 4000)}"
        if what and len(line) + len(what) + 4 <= console.width:
            line += f"  # {what}"
        console.print(Text(line), soft_wrap=True)
