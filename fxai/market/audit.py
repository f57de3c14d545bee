"""What a person should know of bars before anything is trained on them: gaps, flat bars, jumps, spread, volume.

N bars.  Times are UTC nanoseconds, returns are log returns of mid closes, spreads are basis points of the mid.
Defects (`fxai.market.checks`) make bars unusable; what is measured here is merely to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fxai.market.bars import Bars
from fxai.market.checks import SECOND_NS, Defect, defects
from fxai.market.features import timeframe_s
from fxai.market.reading.raw import Array, RawBars
from fxai.market.spreads import Spread, spread_of

YEAR_S = 365.25 * 86_400

FAR = 20.0
"""Moves beyond so many robust standard deviations are shown: 6 of 74,439 hourly EURUSD bars from 2007 to 2019."""

SPIKE = 10.0
"""A move beyond so many, most of which the next bar takes back, looks like a bad tick."""

BACK = 0.25
"""Of a spike, what may be left after the next bar."""

WEEKEND_S = 80 * 3600.0
"""A gap over a Saturday noon, UTC, is a weekend up to this length: Friday's last daily bar to Monday's is 72 hours."""

DAY_NS = 86_400 * SECOND_NS
SATURDAY_NOON_NS = int(2.5 * DAY_NS)
"""Into a week that begins, as unix time does, with a Thursday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Steps of more than one and a half bars."""

    count: int
    longest_s: float
    after: int
    """Row before the longest; −1 where there is none."""

    missing: int
    """Bars that would fill them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Bars in which nothing moved."""

    bars: int
    longest: int
    """Bars of the longest run without a pause."""

    first: int
    """Its first row; −1 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change of the close from the row before."""

    row: int
    change: float
    """Fraction of the price."""

    scales: float
    """Its size in robust standard deviations."""

    over_gap: bool
    taken_back: bool
    """Whether the next bar undoes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Changes of the close that stand out."""

    scale: float
    """Robust standard deviation of log returns: 1.4826 × the median of those that are not 0."""

    far: int
    """Moves beyond FAR scales."""

    spikes: int
    """Moves beyond SPIKE scales that the next bar takes back."""

    worst: tuple[Move, ...]
    """The largest of both kinds, in order of size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Bars in figures."""

    rows: int
    first_ns: int
    last_ns: int
    timeframe_s: float
    regular: float
    """Share of the steps that are exactly the timeframe."""

    bars_per_year: float
    weekends: Gaps
    other_gaps: Gaps
    flat: Runs
    """Bars whose open, high, low and close are one price; closes like the one before, where there is nothing else."""

    moves: Moves
    spread: Spread
    zero_volume: float | None
    """Share of bars without volume; None where there is no such column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The rows of a file that have no defect, oldest first."""

    raw: RawBars
    defects: tuple[Defect, ...]
    """What the file has, in its own order of rows."""

    dropped: int


def sound_rows(raw: RawBars) -> Sound:
    """All defects of a file, and what is left of it without them."""
    found = tuple(defects(raw))
    if not found:
        return Sound(raw=raw, defects=(), dropped=0)
    ordered = raw.sorted()
    keep_N = np.ones(len(raw), dtype=np.bool_)
    for defect in defects(ordered):
        keep_N[defect.rows] = False
    order_N = ordered.source.order_N
    assert order_N is not None  # as `sorted` leaves it
    kept = replace(
        ordered,
        source=replace(ordered.source, order_N=order_N[keep_N]),
        time_N=ordered.time_N[keep_N],
        numbers={role: values_N[keep_N] for role, values_N in ordered.numbers.items()},
    )
    return Sound(raw=kept, defects=found, dropped=len(raw) - len(kept))


def measure(bars: Bars, shown: int = 5) -> Measures:
    """Figures of bars without defects, at least three; `shown` is how many moves are listed."""
    bar_s = timeframe_s(bars.time_N)
    step_N = np.diff(bars.time_N)
    gap_N = step_N > 1.5 * bar_s * SECOND_NS
    weekend_N = gap_N & _over_a_weekend(bars.time_N)
    span_s = float(bars.time_N[-1] - bars.time_N[0]) / SECOND_NS
    return Measures(
        rows=len(bars),
        first_ns=int(bars.time_N[0]),
        last_ns=int(bars.time_N[-1]),
        timeframe_s=bar_s,
        regular=float(np.mean(step_N == round(bar_s * SECOND_NS))),
        bars_per_year=(len(bars) - 1) / span_s * YEAR_S,
        weekends=_gaps(step_N, weekend_N, bar_s),
        other_gaps=_gaps(step_N, gap_N & ~weekend_N, bar_s),
        flat=_flat(bars),
        moves=_moves(bars.close_N, gap_N, shown),
        spread=spread_of(bars, gap_N),
        zero_volume=None if bars.volume_N is None else float(np.mean(bars.volume_N == 0.0)),
    )


def _over_a_weekend(time_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Steps [N − 1] over a Saturday noon and not much longer than a weekend."""
    before_N, step_N = time_N[:-1], np.diff(time_N)
    until_noon_N = (SATURDAY_NOON_NS - before_N) % (7 * DAY_NS)
    return (until_noon_N < step_N) & (step_N <= WEEKEND_S * SECOND_NS)


def _gaps(step_N: NDArray[np.int64], which_N: NDArray[np.bool_], bar_s: float) -> Gaps:
    if not which_N.any():
        return Gaps(count=0, longest_s=0.0, after=-1, missing=0)
    after = int(np.argmax(np.where(which_N, step_N, 0)))
    missing_N = np.round(step_N[which_N] / (bar_s * SECOND_NS)) - 1
    return Gaps(
        count=int(which_N.sum()),
        longest_s=float(step_N[after]) / SECOND_NS,
        after=after,
        missing=int(missing_N.sum()),
    )


def _flat(bars: Bars) -> Runs:
    if bars.high_N is not None and bars.low_N is not None:
        return _runs(bars.high_N <= bars.low_N)
    return _runs(np.concatenate([[False], np.diff(bars.close_N) == 0.0]))


def _runs(flag_N: NDArray[np.bool_]) -> Runs:
    """How many are set, and the longest stretch of them."""
    edge_N = np.flatnonzero(np.diff(np.concatenate([[False], flag_N, [False]]).astype(np.int8)))
    starts, stops = edge_N[::2], edge_N[1::2]
    if not len(starts):
        return Runs(bars=0, longest=0, first=-1)
    longest = int(np.argmax(stops - starts))
    return Runs(bars=int(flag_N.sum()), longest=int((stops - starts)[longest]), first=int(starts[longest]))


def _moves(close_N: Array, gap_N: NDArray[np.bool_], shown: int) -> Moves:
    return_N = np.diff(np.log(close_N))
    size_N = np.abs(return_N)
    moving = size_N[size_N > 0.0]
    if not len(moving):
        return Moves(scale=0.0, far=0, spikes=0, worst=())
    scale = 1.4826 * float(np.median(moving))  # of a normal distribution, the standard deviation
    left_N = np.abs(return_N + np.concatenate([return_N[1:], [np.inf]]))
    far_N = size_N > FAR * scale
    spike_N = (size_N > SPIKE * scale) & (left_N < BACK * size_N)
    rows = np.flatnonzero(far_N | spike_N)
    rows = rows[np.argsort(-size_N[rows], kind="stable")][:shown]
    worst = tuple(
        Move(
            row=int(row) + 1,
            change=float(np.expm1(return_N[row])),
            scales=float(size_N[row] / scale),
            over_gap=bool(gap_N[row]),
            taken_back=bool(spike_N[row]),
        )
        for row in rows
    )
    return Moves(scale=scale, far=int(far_N.sum()), spikes=int(spike_N.sum()), worst=worst)
