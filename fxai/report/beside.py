"""What stands beside an agent in its backtest: how its columns are headed, what they mean, and who was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fxai.config.metrics import BUY_AND_HOLD, HINDSIGHT, RANDOM
from fxai.market.clock import stamp

if TYPE_CHECKING:
    from fxai.evaluate.backtest import Backtest, Stop

_TOLD = 5
"""Stopped accounts of one name that are told one by one."""

STOPPED = (
    "A stopped account holds nothing for the rest of the time: total return, cagr, sharpe, sortino and calmar count "
    "those bars with a return of 0, turnover and exposure are means of the bars until the stop."
)


def headings(run: Backtest) -> dict[str, str]:
    """Name → what is written above its column."""
    most = run.env.leverage * max(run.env.position_levels)
    told = {BUY_AND_HOLD: BUY_AND_HOLD if most == 1.0 else f"{BUY_AND_HOLD} ({most:g}×)"}
    return {name: told.get(name, name) for name in run.paths}


def curve_names(run: Backtest) -> dict[str, str]:
    """Name → what is written at its curve."""
    one = {RANDOM: f"{RANDOM} (the median)"} if len(run.draws) > 1 else {}
    return headings(run) | one


def meanings(run: Backtest) -> list[str]:
    """Sentences on columns that are not what one might think."""
    told = []
    if run.draws:
        idle = sum(not any(paths.opened_ET.any() for paths in draw) for draw in run.draws)
        told.append(
            f"random: the numbers are means of {len(run.draws)} random traders, a curve is the one whose total return "
            "is the median. They are to have the agent's turnover, not its exposure."
        )
        if 2 * idle >= len(run.draws):
            told.append(
                f"{idle} of the {len(run.draws)} random traders never trade, since the agent's turnover is so small: "
                "the curve is that of doing nothing."
            )
    if run.hindsight_cut and HINDSIGHT in run.paths:
        told.append(
            "hindsight: the best tape found. Stops and margin calls are not searched over, and they bind here, so that "
            "another tape may earn more."
        )
    return told


def stopped_cells(run: Backtest) -> dict[str, str]:
    """Name → how many of its accounts were stopped, or at which bar the only one was."""
    cells = {}
    for name in run.paths:
        runs = run.runs(name)
        accounts = sum(map(len, runs))
        many = sum(bool(paths.stopped_E[0]) for each in runs for paths in each)
        if accounts == 1 and many:
            cells[name] = f"bar {run.stops(name)[0].bar:,}"
        else:
            cells[name] = f"{many:,} of {accounts:,}" if many else "no"
    return cells


def instrument_stops(run: Backtest, name: str) -> dict[str, str]:
    """Instrument → the bar at which its account was stopped, or `no`."""
    at = {stop.instrument: f"bar {stop.bar:,}" for stop in run.stops(name)}
    return {instrument: at.get(instrument, "no") for instrument in run.instruments}


def stop_sentences(run: Backtest) -> list[str]:
    """Who was stopped and when, a sentence for each name, and what that means for the metrics."""
    told, names = [], curve_names(run)
    for name in run.paths:
        if stops := run.stops(name):
            several = len(run.instruments) > 1
            of = f" in {len(stops)} of {len(run.instruments)} accounts" if several else ""
            each = "; ".join(_stop(stop, several) for stop in stops[:_TOLD])
            more = f"; and {len(stops) - _TOLD} more" if len(stops) > _TOLD else ""
            told.append(f"Stopped: {names[name]}{of}, {each}{more}.")
    return [*told, STOPPED] if told else []


def _stop(stop: Stop, several: bool) -> str:
    why = " by a margin call" if stop.margin_called else ""
    who = f"{stop.instrument} " if several else ""
    return f"{who}at {stamp(stop.time_ns)} UTC, bar {stop.bar:,} of {stop.bars:,}{why}"
