"""What a person should know of bars that can be used: the lines that a run and `data-check` both print.

N bars.  Times are UTC nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fxai.market.bars import Bars
from fxai.market.checks import bars_note, holes_note, jump_note
from fxai.market.clock import SECOND_NS, on_saturday, over_a_weekend, stamp, time_apart
from fxai.market.features import LOOKBACK
from fxai.market.weeks import weeks_note

REGULAR = 0.9
"""Share of the steps below which the timeframe is doubted."""

FILLED = 0.9
"""Share of Saturday's bars that are flat from which on they fill the weekend."""


def market_notes(
    bars: Mapping[str, Bars], timeframes: Mapping[str, float], unsealed: Mapping[str, int]
) -> tuple[str, ...]:
    """How bars were read, ranges and gaps, one line for all that share them, then the oddities of each file.

    Args:
        bars: instrument → its bars.
        timeframes: instrument → seconds from bar to bar.
        unsealed: instrument → how many bars, from the first on, have prices that may be looked at.
    """
    instruments: dict[str, list[str]] = {}
    for name, each in bars.items():
        instruments.setdefault(bars_note(each.time_N, timeframes[name], each.origin), []).append(name)
    lines = [f"{', '.join(names)}: {note}" for note, names in instruments.items()]
    for name, each in bars.items():
        if (hole := holes_note(each.time_N, timeframes[name])) is not None:
            lines.append(f"{name}: {hole}")
        lines += (f"{name}: {note}" for note in oddities(each, timeframes[name], unsealed[name]))
        lines += each.notes
    return (*lines, *_volume_notes(bars))


def oddities(
    bars: Bars, timeframe_s: float, unsealed: int, place: Callable[[int], str] | None = None
) -> tuple[str, ...]:
    """What is odd about the bars of one instrument, holes aside.

    Args:
        bars: of the instrument.
        timeframe_s: seconds from bar to bar.
        unsealed: how many bars, from the first on, have prices that may be looked at.
        place: what a person knows a row as; None: its time.
    """
    found = (
        jump_note(bars.close_N[:unsealed], place or (lambda row: f"{stamp(int(bars.time_N[row]))} UTC")),
        timeframe_note(bars.time_N, timeframe_s),
        filler_note(bars.rows(0, unsealed)),
        weeks_note(bars.time_N, timeframe_s),
    )
    return tuple(note for note in found if note is not None)


def timeframe_note(time_N: NDArray[np.int64], timeframe_s: float) -> str | None:
    """That the timeframe changes within the file, or that too few steps are of it."""
    step_N = np.diff(time_N) / SECOND_NS
    usual_s = float(np.median(step_N))
    if not timeframe_s / 1.5 < usual_s < timeframe_s * 1.5:
        return (
            f"the first bars are {time_apart(timeframe_s)} apart, later ones {time_apart(usual_s)}; "
            "move data.start to where the timeframe changes"
        )
    # Friday's daily bar is three days before Monday's, and months have 28 to 31 days
    asked_N = step_N[~over_a_weekend(time_N)]
    share = float(np.mean((timeframe_s / 1.5 < asked_N) & (asked_N < timeframe_s * 1.5))) if len(asked_N) else 1.0
    if share >= REGULAR:
        return None
    return (
        f"only {share:.0%} of the steps are {time_apart(timeframe_s)}, weekends aside: the timeframe changes within "
        "the file, bars are missing, or the market closes between them"
    )


def filler_note(bars: Bars) -> str | None:
    """That flat bars stand where the market was closed: a download with flats."""
    saturday_N = on_saturday(bars.time_N)
    still_N = _still(bars)
    if saturday_N.sum() < 2 or still_N[saturday_N].mean() < FILLED:
        return None
    run_N = np.cumsum(np.diff(still_N.astype(np.int8), prepend=0) == 1)  # number of the run that a bar is in
    runs = np.unique(run_N[still_N & saturday_N])
    filling = int((still_N & np.isin(run_N, runs)).sum())
    weekends = "1 weekend" if len(runs) == 1 else f"{len(runs):,} weekends"
    return (
        f"{filling:,} flat or repeated bars fill {weekends}: they count in bars "
        "per year; download without flats, or delete them"
    )


def no_volume(bars: Bars) -> bool:
    """Whether volume can be no feature: none, or nothing but 0 where it starts, which no later bar can change."""
    return bars.volume_N is None or not bars.volume_N[: LOOKBACK + 1].any()


def zero_volume(bars: Bars) -> bool:
    """Whether there is a volume that starts as nothing but 0."""
    return bars.volume_N is not None and no_volume(bars)


def _still(bars: Bars) -> NDArray[np.bool_]:
    """Bars whose every price is the close before, without a trade, and bars that are the one before in every number."""
    before_N = bars.close_N[:-1]
    prices = [values_N for values_N in (bars.open_N, bars.high_N, bars.low_N, bars.close_N) if values_N is not None]
    still_N = np.logical_and.reduce([values_N[1:] == before_N for values_N in prices])
    if bars.volume_N is not None:
        still_N &= bars.volume_N[1:] == 0.0
    repeated_N = np.logical_and.reduce([values_N[1:] == values_N[:-1] for values_N in bars.arrays().values()])
    return np.concatenate([[False], still_N | repeated_N])


def _volume_notes(bars: Mapping[str, Bars]) -> list[str]:
    """Why volume is no feature where some file has one: a line for those that start with zeros, one for the others."""
    zero = [name for name, each in bars.items() if zero_volume(each)]
    none = [name for name, each in bars.items() if each.volume_N is None]
    of_all = " of any instrument" if len(bars) > 1 else ""
    lines = [f"{', '.join(zero)}: the volume starts with zeros and is no feature{of_all}"] if zero else []
    if none and len(none) + len(zero) < len(bars):
        lines.append(f"{', '.join(none)}: there is no volume, so it is no feature{of_all}")
    return lines
