"""The best tape of levels that an account could have traded, had it known every price: the ceiling of a backtest.

Axes: E episodes, T steps, L levels, Q labels, M = labels of all intervals so far.  Equity is relative to the start.

The account is that of docs/trading_model.md: units change only when the level changes, every fill pays κ, and what is
held pays financing. All of it is proportional to equity, so the optimum does not depend on the capital. What is left
out: stops, margin calls, and that an account without equity cannot trade. The tape is meant to be replayed by
`fxai.evaluate.episodes.run_tape`, which leaves out nothing, so its metrics are exact whatever the search assumed. A
replay that is stopped is no ceiling; `smaller` then searches among fewer levels, and the best replay is kept.

An interval at a level begins at one fill and ends at another. What it leaves behind is a cash amount and units, so
its equity is a straight line in the price. Two intervals at the same level from the same fill differ by what their
predecessors cost, and neither need be better for every future: `_exact` keeps all of them (labels) that some future
may prefer. `_linear` keeps one per level, in time linear in T.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fxai.env.trading import TradingEnv

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXACT_STEPS = 512
"""Longer paths are searched by `_linear`: the exact search takes time in proportion to the square of the steps."""

MOST_WORK = 10**9
"""Pairs of intervals weighed by the exact search, over all episodes; some ten seconds. Beyond that, `_linear`."""

LABELS = (4, 16)
"""Labels kept for each level and fill; the more where fewer prove nothing."""

NONE = -1.0
"""Cash of an account that does not exist; one without equity cannot go on either."""

_ROOM = 2**18
"""Candidates weighed at once: the arrays in use stay within some ten MB, and the processor's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """All that the optimum depends on."""

    fill_ET: Floats
    """F, mid price of each fill."""
    cost_rate_ET: Floats
    """κ of each fill."""
    worth_LET: Floats
    """Price of a unit at each fill, less the financing paid for it so far (plus, for a short one)."""
    last_LE: Floats
    """The same at the last close."""
    weight_L: Floats
    """Notional over equity at each level: level × leverage."""
    flat: int
    """Index of level 0, which an account starts at."""

    def rows(self, take: slice | Ints) -> Course:
        """Some of the episodes."""
        return replace(
            self,
            fill_ET=self.fill_ET[take],
            cost_rate_ET=self.cost_rate_ET[take],
            worth_LET=self.worth_LET[:, take],
            last_LE=self.last_LE[:, take],
        )

    def among(self, levels: Ints) -> Course:
        """Some of the levels, level 0 among them."""
        return replace(
            self,
            worth_LET=self.worth_LET[levels],
            last_LE=self.last_LE[levels],
            weight_L=self.weight_L[levels],
            flat=int(np.searchsorted(levels, self.flat)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best tapes and what they are worth."""

    action_ET: Ints
    """Index of the level to choose at each step."""
    growth_E: Floats
    """Final over initial equity, as the search has it: without stops."""
    exact_E: NDArray[np.bool_]
    """No tape is better on an account that nothing stops; false where a label may have been dropped that the best tape
    needs, and for long paths. On accounts with stops it holds where the replay is not stopped, among the tapes that are
    not: a stop sells at a close, which with `next_open` is no price at which an order is filled."""


def hindsight(env: TradingEnv, rows_E: Tensor, steps: int) -> Optimum:
    """The best tape of each episode.

    Args:
        env: bars and account rules, of population 1.
        rows_E: first decision rows.
        steps: bars per episode.
    """
    return _search(course_of(env, rows_E, steps))


def smaller(env: TradingEnv, rows_E: Tensor, steps: int) -> Iterator[Ints]:
    """The best tapes among ever fewer levels, the largest dropped first: for episodes whose best tape is stopped.

    They are searched, like it, as if there were no stops. Level 0 alone is left out.
    """
    course, levels_L = course_of(env, rows_E, steps), np.abs(env.rules.levels_A.cpu().numpy())
    for largest in np.unique(levels_L)[-2:0:-1]:
        kept_L = np.flatnonzero(levels_L <= largest)
        yield kept_L[_search(course.among(kept_L)).action_ET]


def _search(course: Course) -> Optimum:
    """Exact where the path is short enough, with more labels where fewer prove nothing."""
    if course.fill_ET.shape[1] > EXACT_STEPS or _work(course, LABELS[0]) > MOST_WORK:
        return _linear(course)
    found = _in_parts(course, LABELS[0])
    for labels in LABELS[1:]:
        again = np.flatnonzero(~found.exact_E & (_slope(course) > 0.0))
        if again.size and _work(course.rows(again), labels) <= MOST_WORK:
            more = _in_parts(course.rows(again), labels)
            found.action_ET[again], found.growth_E[again] = more.action_ET, more.growth_E
            found.exact_E[again] = more.exact_E
    return found


def _work(course: Course, labels: int) -> int:
    episodes, steps = course.fill_ET.shape
    return int(episodes * steps**2 * len(course.weight_L) ** 2 * labels)


def _in_parts(course: Course, labels: int) -> Optimum:
    """The exact search over some episodes at a time."""
    episodes, steps = course.fill_ET.shape
    at_once = max(1, _ROOM // (steps * len(course.weight_L) * labels))
    parts = [_exact(course.rows(slice(i, i + at_once)), labels) for i in range(0, episodes, at_once)]
    return Optimum(
        action_ET=np.concatenate([p.action_ET for p in parts]),
        growth_E=np.concatenate([p.growth_E for p in parts]),
        exact_E=np.concatenate([p.exact_E for p in parts]),
    )


def course_of(env: TradingEnv, rows_E: Tensor, steps: int) -> Course:
    """Prices, cost rates and financing of episodes, as the environment has them."""
    bars, _ = env.bars(rows_E.to(env.device)[None], steps)

    def by_episode(x: Tensor) -> Floats:
        return x[:, 0, :, 0].T.double().cpu().numpy()

    rules = env.rules
    levels_L = rules.levels_A.cpu().numpy()
    fill_ET = by_episode(bars.fill)
    carried_ET = by_episode(bars.close_before * bars.days) * 1e-4
    long_bp, short_bp = float(rules.long_bp_per_day_P11[0]), float(rules.short_bp_per_day_P11[0])
    # financing is charged at a fill for what was held over the close before it
    bp_L = np.where(levels_L > 0, -long_bp, np.where(levels_L < 0, short_bp, 0.0))
    paid_LET = bp_L[:, None, None] * np.cumsum(carried_ET, axis=1)
    return Course(
        fill_ET=fill_ET,
        cost_rate_ET=by_episode(bars.cost_rate_fill),
        worth_LET=fill_ET + paid_LET,
        last_LE=by_episode(bars.close)[:, -1] + paid_LET[:, :, -1],
        weight_L=levels_L * float(rules.leverage_P11[0]),
        flat=int(rules.flat_action),
    )


def _exact(course: Course, labels: int) -> Optimum:
    """Dynamic programming over the intervals between fills.

    A label is an interval at a level: cash and units (per initial equity) and the label before it. At each fill every
    label of another level is a candidate to go on from; of the candidates those stay that no other makes needless.
    """
    episodes, steps = course.fill_ET.shape
    count = len(course.weight_L)
    width = count * labels
    table = _Labels(episodes, steps, count, labels, course.flat)
    slope_E = _slope(course)
    exact_E = slope_E > 0.0
    level_M = table.level_M
    other_LM = level_M != np.arange(count)[:, None]
    for i in range(steps):
        upto = 1 + i * width
        fill_E1, kappa_E1 = course.fill_ET[:, i : i + 1], course.cost_rate_ET[:, i : i + 1]
        units_EM = table.units_EM[:, :upto]
        worth_EM = course.worth_LET[level_M[:upto], :, i].T
        equity_EM = table.cash_EM[:, :upto] + units_EM * worth_EM
        held_EM = units_EM * fill_E1
        for new in range(count):
            weight = course.weight_L[new]
            after_EM = equity_EM - kappa_E1 * np.abs(weight * equity_EM - held_EM)
            after_EM = np.where(other_LM[new, :upto] & (equity_EM > 0), after_EM, NONE)
            picked_EQ, complete_E = _keep(after_EM, weight * equity_EM, slope_E, labels)
            exact_E &= complete_E
            table.add(i, new, picked_EQ, after_EM, equity_EM * weight / fill_E1, course.worth_LET[new, :, i])
    final_EM = table.cash_EM + table.units_EM * course.last_LE[level_M].T
    best_E = final_EM.argmax(axis=1)
    return Optimum(
        action_ET=table.tape(best_E),
        growth_E=np.take_along_axis(final_EM, best_E[:, None], axis=1)[:, 0],
        exact_E=exact_E,
    )


class _Labels:
    """All labels, fill by fill; within a fill level by level. The first one is the fresh flat account."""

    def __init__(self, episodes: int, steps: int, levels: int, labels: int, flat: int) -> None:
        total = 1 + steps * levels * labels
        self.levels, self.labels, self.flat = levels, labels, flat
        self.cash_EM = np.full((episodes, total), NONE)
        self.cash_EM[:, 0] = 1.0
        self.units_EM = np.zeros((episodes, total))
        self.before_EM = np.zeros((episodes, total), dtype=np.int64)
        self.level_M = np.concatenate([[flat], np.tile(np.repeat(np.arange(levels), labels), steps)])

    def add(self, fill: int, level: int, picked_EQ: Ints, after_EM: Floats, units_EM: Floats, worth_E: Floats) -> None:
        """Labels that begin at a fill; `picked` are the labels they come from, −1 for none."""
        begin = 1 + (fill * self.levels + level) * self.labels
        place = slice(begin, begin + picked_EQ.shape[1])
        chosen_EQ = picked_EQ.clip(0)
        units_EQ = np.take_along_axis(units_EM, chosen_EQ, axis=1)
        cash_EQ = np.take_along_axis(after_EM, chosen_EQ, axis=1) - units_EQ * worth_E[:, None]
        self.units_EM[:, place] = np.where(picked_EQ >= 0, units_EQ, 0.0)
        self.cash_EM[:, place] = np.where(picked_EQ >= 0, cash_EQ, NONE)
        self.before_EM[:, place] = chosen_EQ

    def tape(self, last_E: Ints) -> Ints:
        """Levels chosen by the chain of labels that ends in `last`."""
        episodes, total = self.cash_EM.shape
        width = self.levels * self.labels
        action_ET = np.full((episodes, (total - 1) // width), self.flat)
        for e, label in enumerate(last_E.tolist()):
            end = action_ET.shape[1]
            while label:
                begin = (label - 1) // width
                action_ET[e, begin:end] = self.level_M[label]
                label, end = int(self.before_EM[e, label]), begin
        return action_ET


def _keep(after_EM: Floats, notional_EM: Floats, slope_E: Floats, labels: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The candidates that some future may prefer, best equity first: their indices [E, labels], −1 for none.

    Candidate A makes B needless where A's equity is higher by at least |difference of notional| / slope (`_slope`).
    Also tells for each episode whether they were few enough to keep all.
    """
    alive_EM = after_EM > 0.0
    picked_EQ = np.full((len(after_EM), labels), -1)
    for q in range(labels):
        some_E = alive_EM.any(axis=1)
        if not some_E.any():
            break
        best_E1 = np.where(alive_EM, after_EM, NONE).argmax(axis=1)[:, None]
        picked_EQ[:, q] = np.where(some_E, best_E1[:, 0], -1)
        lead_EM = np.take_along_axis(after_EM, best_E1, axis=1) - after_EM
        apart_EM = np.abs(notional_EM - np.take_along_axis(notional_EM, best_E1, axis=1))
        alive_EM &= apart_EM > slope_E[:, None] * lead_EM
    return picked_EQ, np.asarray(~alive_EM.any(axis=1))


def _slope(course: Course) -> Floats:
    """ρ: an account needs nothing that another has which is ahead of it by d and differs by at most ρ·d in notional.

    Let A and B follow one tape, A ahead by d ≥ 0 in equity and apart by at most ρ·d in notional. At the next fill a
    unit of notional has earned at most G, so A is ahead by e ≥ d·(1 − G·ρ) before costs, and its costs are higher by
    at most κ·(W·e + M·ρ·d), where W is the largest notional over equity and M the largest ratio of two fill prices.
    The new notionals differ by at most W·e. So A stays ahead, by enough for the same ρ, where
    W ≤ ρ·(1 − κ·W − κ·M·ρ / (1 − G·ρ)) and G·ρ < 1; then it ends no lower than B on every tape. The largest such ρ
    of a grid is taken; 0 where there is none (large moves at high leverage), and then the search proves nothing.
    """
    fill_ET = course.fill_ET
    low_E, high_E = fill_ET.min(axis=1), fill_ET.max(axis=1)
    worth_LE = np.concatenate([course.worth_LET, course.last_LE[..., None]], axis=-1)
    move_E = np.maximum((worth_LE.max(axis=-1) - worth_LE.min(axis=-1)).max(axis=0) / low_E, 1e-12)
    weight = max(float(np.abs(course.weight_L).max()), 1e-12)
    kappa_E = course.cost_rate_ET.max(axis=1)
    slope_E = np.zeros(len(fill_ET))
    for share in np.linspace(0.02, 0.98, 49):
        trial_E = share / move_E
        rest_E = 1.0 - kappa_E * weight - kappa_E * (high_E / low_E) * trial_E / (1.0 - share)
        slope_E = np.where(weight <= trial_E * rest_E, trial_E, slope_E)
    return slope_E


def _linear(course: Course) -> Optimum:
    """One label per level, the richest: in time linear in T, and not always the optimum.

    What it misses is taking a level anew to bring drifted units back to it, where that pays only later.
    """
    episodes, steps = course.fill_ET.shape
    count = len(course.weight_L)
    cash_EL = np.full((episodes, count), NONE)
    cash_EL[:, course.flat] = 1.0
    units_EL = np.zeros((episodes, count))
    from_ETL = np.zeros((episodes, steps, count), dtype=np.int8 if count < 128 else np.int64)
    weight_L, own_L, same_LL = course.weight_L, np.arange(count), np.eye(count, dtype=bool)
    worth_TEL = np.ascontiguousarray(course.worth_LET.transpose(2, 1, 0))
    for i in range(steps):
        fill_E1, kappa_E11 = course.fill_ET[:, i : i + 1], course.cost_rate_ET[:, i, None, None]
        equity_EL = cash_EL + units_EL * worth_TEL[i]
        # from level k (last axis) to level l
        target_ELL = weight_L[:, None] * equity_EL[:, None, :]
        paid_ELL = np.abs(target_ELL - (units_EL * fill_E1)[:, None, :])
        after_ELL = equity_EL[:, None, :] - np.where(same_LL, 0.0, kappa_E11 * paid_ELL)
        after_ELL = np.where(equity_EL[:, None, :] > 0, after_ELL, NONE)
        after_EL = after_ELL.max(axis=-1)
        stay_EL = after_ELL[:, own_L, own_L] >= after_EL
        before_EL = np.where(stay_EL, own_L, after_ELL.argmax(axis=-1))
        from_ETL[:, i] = before_EL
        taken_EL = weight_L * np.take_along_axis(equity_EL, before_EL, axis=1) / fill_E1
        units_EL = np.where(stay_EL, units_EL, taken_EL) * (after_EL > 0)
        cash_EL = np.where(after_EL > 0, after_EL - units_EL * worth_TEL[i], NONE)
    final_EL = cash_EL + units_EL * course.last_LE.T
    level_E = final_EL.argmax(axis=1)
    growth_E = np.take_along_axis(final_EL, level_E[:, None], axis=1)[:, 0]
    action_ET = np.empty((episodes, steps), dtype=np.int64)
    rows: Any = np.arange(episodes)
    for i in range(steps - 1, -1, -1):
        action_ET[:, i] = level_E
        level_E = from_ETL[rows, i, level_E].astype(np.int64)
    return Optimum(action_ET=action_ET, growth_E=growth_E, exact_E=np.zeros(episodes, dtype=bool))
