"""What `data-check` prints: each file in figures, what is wrong with it, and how a study would cut it.

Defects make bars unusable; everything else is to be looked at. No meaning hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from fxai.errors import FxaiError
from fxai.market.audit import FAR, SPIKE, Gaps, Measures, Move, Prices
from fxai.market.bars import Bars
from fxai.market.checks import JUMP, Defect, holes_note
from fxai.market.clock import stamp, time_apart, timeframe_name
from fxai.market.data import Plan
from fxai.market.reading.raw import Origin, Source
from fxai.market.spreads import Spread
from fxai.market.weeks import Weeks
from fxai.report.text import clean, count, number

PARTS = ("train", "validation", "test")

LABEL = 15
"""Width of the column of names."""

INDENT = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures, and what they are of."""

    figures: Measures
    sealed: str
    """From when on prices are not looked at, and why, as a person would say it."""

    bars: Bars
    source: Source
    """Where the rows of `bars` stand in the file."""

    def place(self, row: int) -> str:
        """`line 17` or `row 17`; the file's name stands above."""
        place = self.source.at(row).removeprefix(self.source.name)
        return f"line {place[1:]}" if place.startswith(":") else place.removeprefix(", ")

    def time(self, row: int) -> str:
        """To the minute."""
        return stamp(int(self.bars.time_N[row]))[:16]

    def when(self, row: int) -> str:
        """Time and place of a row."""
        return f"{self.time(row)} ({self.place(row)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """What was found in one file, or in one instrument of the bundled source."""

    title: str
    source: Source
    origin: Origin | None = None
    rows: int = 0
    error: FxaiError | None = None
    """Why it could not be read at all."""

    defects: tuple[Defect, ...] = ()
    measured: Measured | None = None
    """Of the rows without defects; None where there are too few of them."""

    jumps: int = 0
    """Closes before the sealed test that change by more than a factor of JUMP."""

    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether bars can be made of it."""
        return self.error is None and not self.defects

    @property
    def holes(self) -> int:
        """Gaps so long that data are missing."""
        return self.measured.figures.holes if self.measured is not None else 0

    @property
    def doubts(self) -> str:
        """Holes and jumps, which are no defects and spoil a study all the same; "" where there are none."""
        jumps = f"{count(self.jumps, 'jump')} by more than {JUMP:g} times"
        return " and ".join(text for n, text in ((self.holes, count(self.holes, "hole")), (self.jumps, jumps)) if n)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCheck:
    """How the bars of one study are cut."""

    plan: Plan | None
    """None where they cannot be cut so."""

    purge_bars: int
    need: int
    """Bars that window and episode need in each part."""

    error: FxaiError | None = None
    """Why a study cannot run on it."""


def print_check(console: Console, check: FileCheck, shown: int) -> None:
    """One file; of each defect at most `shown` rows are listed."""
    console.print(Text(clean(check.title, 500), style="bold"), soft_wrap=True)
    if check.error is not None:
        _print_error(console, check.error)
        return
    if check.origin is not None:
        _row(console, "format", f"{check.origin.format}; times in {check.origin.timezone}")
        for detail in check.origin.details:
            _row(console, "", detail)
    if check.defects:
        left = check.measured.figures.rows if check.measured else 0
        _row(console, "rows", f"{check.rows:,}; what follows is of the {left:,} without defects, in order of time")
    if check.measured is not None:
        _print_measures(console, check.measured)
    elif not check.defects:
        _row(console, "bars", f"{check.rows:,}: too few to measure", style="yellow")
    for note in check.notes:
        _row(console, "note", note.removeprefix(f"{check.source.name}: "), style="yellow")
    for defect in check.defects:
        _print_defect(console, defect, check.source, shown)
    if not check.defects and check.doubts:
        see = "see the warning" if not check.jumps else "see above" if check.holes else "see the note"
        console.print(Text(f"{INDENT}no defects, but {check.doubts} in the data: {see}", style="yellow"))
    elif not check.defects:
        console.print(Text(f"{INDENT}ok: no defects", style="green"))


def print_split(console: Console, check: SplitCheck, *, required: bool) -> None:
    """Bars of each instrument in each part; that they are too few is a defect where they are `required`."""
    console.print(Text("split", style="bold"))
    for line in _parts(check.plan) if check.plan is not None else ():
        console.print(Text(INDENT + line), soft_wrap=True)
    console.print(Text(f"{INDENT}{check.purge_bars} bars are purged before validation and before test"))
    console.print(Text(f"{INDENT}window and episode need {check.need:,} bars of each instrument in each part"))
    if check.error is None:
        console.print(Text(f"{INDENT}ok: every part has them", style="green"))
    elif required:
        _print_error(console, check.error)
    else:
        console.print(Text(f"{INDENT}note: the default settings do not fit these bars", style="yellow"))
        _print_hint(console, check.error.what, "")
        _print_hint(console, check.error.hint or "")


def print_total(console: Console, checks: Sequence[FileCheck], usable: bool, noun: str) -> None:
    """The last line: whether a study could run on all this; `noun` is what was checked."""
    bad = [check for check in checks if not check.clean]
    names = count(len(checks), noun)
    if bad:
        rows = sum(len(set().union(*(defect.rows.tolist() for defect in check.defects))) for check in bad)
        text = f"{len(bad)} of {names} cannot be used" + (f": {count(rows, 'defective row')}" if rows else "")
        console.print(Text(text, style="bold red"))
    elif not usable:
        console.print(Text("no defects, but a study cannot use these bars as they are cut", style="bold red"))
    elif any(check.doubts for check in checks):
        holed, jumping = (sum(map(bool, n)) for n in ((c.holes for c in checks), (c.jumps for c in checks)))
        found = [f"{noun} in {n}" for noun, n in (("holes", holed), ("jumps", jumping)) if n]
        console.print(Text(f"{names} checked: no defects, but {' and '.join(found)}", style="bold yellow"))
    else:
        console.print(Text(f"{names} checked: no defects", style="bold green"))


def _row(console: Console, label: str, value: str, style: str = "") -> None:
    """A name and what there is to say, wrapped beside it; no blanks at the end of lines, as tables leave them."""
    width = max(console.width - LABEL - len(INDENT), 20)
    for line in Text(clean(value, 1000), style=style).wrap(console, width):
        line.rstrip()
        console.print(Text.assemble(INDENT, (f"{label:<{LABEL}}", "dim"), line), soft_wrap=True)
        label = ""


def _print_measures(console: Console, own: Measured) -> None:
    figures = own.figures
    first, last = stamp(figures.first_ns), stamp(figures.last_ns)
    _row(console, "bars", f"{figures.rows:,} from {first} to {last} UTC")
    _row(console, "timeframe", f"{timeframe_name(figures.timeframe_s)} ({_share(figures.regular)} of the steps)")
    _row(console, "bars per year", f"{figures.bars_per_year:,.0f}, by which metrics are annualised")
    _row(console, "gaps", _gap_line(figures.weekends, "weekend", own))
    _row(console, "", _gap_line(figures.other_gaps, "other gap", own))
    if figures.weeks is not None:
        _row(console, "weeks", _weeks_line(figures.weeks))
    if (note := holes_note(own.bars.time_N, figures.timeframe_s)) is not None:
        _row(console, "warning", note, style="yellow")
    if figures.prices is None:
        _row(console, "prices", f"too few bars before {own.sealed}")
        return
    if figures.prices.rows < figures.rows:
        _row(console, "prices", f"what follows is of the {figures.prices.rows:,} bars before {own.sealed}")
    _print_prices(console, figures.prices, own)


def _print_prices(console: Console, prices: Prices, own: Measured) -> None:
    _row(console, "flat bars", _flat_line(prices, own))
    if prices.repeats:
        _row(console, "repeats", f"{count(prices.repeats, 'bar')} with all the numbers of the bar before")
    moves = prices.moves
    if not moves.scale:
        _row(console, "moves", "the price never moves", style="yellow")
    else:
        text = (
            f"usually {number(moves.scale * 1e4)} bp; {f'{moves.far:,}' if moves.far else 'none'} beyond {FAR:g} × that"
        )
        if moves.spikes:
            text += f"; {count(moves.spikes, 'spike')} beyond {SPIKE:g} × and taken back by the next bar"
        _row(console, "moves", text)
    for move in moves.worst:
        _row(console, "", _move_line(move, own), style="yellow" if move.taken_back else "")
    _row(console, "spread", _spread_line(prices.spread, own))
    _row(console, "volume", _volume_line(prices.zero_volume))


def _share(part: float) -> str:
    """Per cent that is never rounded to all or to nothing."""
    if 0.0 < part < 0.0001:
        return "under 0.01%"
    return "over 99.99%" if 0.9999 < part < 1.0 else f"{100 * part:.4g}%"


def _gap_line(gaps: Gaps, noun: str, own: Measured) -> str:
    if not gaps.count:
        return f"no {noun}s"
    plural = f"{gaps.count:,} {noun}{'s' if gaps.count > 1 else ''}"
    text = f"{plural}, the longest {time_apart(gaps.longest_s)} after {own.when(gaps.after)}"
    bars = "bar" if gaps.missing == 1 else "bars"
    return text if noun == "weekend" else f"{text}; {gaps.missing:,} {bars} would fill them"


def _weeks_line(weeks: Weeks) -> str:
    begin, end = (" / ".join(f"{time} ({season})" for season, time in each) for each in (weeks.begin, weeks.end))
    return f"begin {begin}, end {end}, UTC"


def _flat_line(prices: Prices, own: Measured) -> str:
    flat = prices.flat
    if not flat.bars:
        return "none"
    share = _share(flat.bars / prices.rows)
    return f"{flat.bars:,} ({share}), at most {flat.longest:,} in a row, from {own.when(flat.first)}"


def _move_line(move: Move, own: Measured) -> str:
    remark = ", over a gap" * move.over_gap + ", taken back" * move.taken_back
    return f"{100 * move.change:+8.3f}% {move.scales:6,.0f} ×  {own.when(move.row)}{remark}"


def _spread_line(spread: Spread, own: Measured) -> str:
    if spread.quantiles_bp is not None:
        low, median, high, widest = (number(value) for value in spread.quantiles_bp)
        text = f"real: median {median} bp, from {low} to {high} bp in 90% of the bars, "
        return f"{text}widest {widest} bp at {own.when(spread.widest)}"
    if spread.estimate_bp is None or spread.at_most_bp is None:
        return "none in the file, and too few bars to estimate one"
    text = f"none in the file; an estimate from {spread.method}: {spread.estimate_bp:.2f} bp, "
    limit = f"{spread.at_most_bp:.2f}"
    text += "for nothing bounces. " if limit == "0.00" else f"below {limit} bp with 95% confidence. "
    return text + "Mid prices, or bids alone, show no spread: set env.spread_bp to what your broker takes"


def _volume_line(zero_share: float | None) -> str:
    if zero_share is None:
        return "none in the file"
    if zero_share in (0.0, 1.0):
        return "0 in every bar, so it is no feature" if zero_share else "in every bar"
    return f"none in {_share(zero_share)} of the bars"


def _parts(plan: Plan) -> list[str]:
    """A table of the bars in each part, and where validation and test begin."""
    table = [["instrument", *PARTS, "validation from", "test from"]]
    for name, rows in plan.rows.items():
        time_N = plan.bars[name].time_N
        sizes = [f"{rows[part][1] - rows[part][0]:,}" for part in PARTS]
        table.append([clean(name, 24), *sizes, *(stamp(int(time_N[rows[part][0]]))[:10] for part in PARTS[1:])])
    widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    numeric = range(1, 1 + len(PARTS))
    lines = []
    for row in table:
        cells = [
            f"{cell:>{w}}" if i in numeric else f"{cell:<{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _print_defect(console: Console, defect: Defect, source: Source, shown: int) -> None:
    console.print(Text(f"{INDENT}defect: {defect.kind} in {count(len(defect.rows), 'row')}", style="red"))
    for row in defect.rows[:shown]:
        line = f"{INDENT * 2}{clean(source.at(int(row)), 500)}: {clean(defect.describe(int(row)), 300)}"
        console.print(Text(line), soft_wrap=True)  # a place that is broken over lines cannot be copied
    if len(defect.rows) > shown:
        console.print(Text(f"{INDENT * 2}... and {len(defect.rows) - shown:,} more"))
    _print_hint(console, defect.hint)


def _print_error(console: Console, error: FxaiError) -> None:
    where = f"{clean(error.where, 500)}: " if error.where else ""
    for line in error.what.splitlines():
        console.print(Text(f"{INDENT}defect: {where}{clean(line, 500)}", style="red"), soft_wrap=True)
    if error.hint:
        _print_hint(console, error.hint)


def _print_hint(console: Console, text: str, label: str = "hint: ") -> None:
    """Wrapped at words, below what it belongs to."""
    for line in Text(label + clean(text, 1000)).wrap(console, max(console.width - 2 * len(INDENT), 20)):
        line.rstrip()
        console.print(Text.assemble(INDENT * 2, line), soft_wrap=True)
