"""The metrics that a spec may name; `fxai.evaluate.metrics` computes them."""

from __future__ import annotations

RATIO_CAP = 100.0
"""Ratios are clipped to ± this, so that no metric is ever infinite."""

METRIC_DIRECTIONS: dict[str, str] = {
    "mean_reward": "maximize",
    "total_return": "maximize",
    "cagr": "maximize",
    "sharpe": "maximize",
    "sortino": "maximize",
    "calmar": "maximize",
    "max_drawdown": "minimize",
    "max_drawdown_bars": "minimize",
    "stopped": "minimize",
    "win_rate": "maximize",
    "profit_factor": "maximize",
    "expectancy": "maximize",
    "turnover": "minimize",
    "exposure": "minimize",
    "n_trades": "maximize",
    "n_closed": "maximize",
    "holding_bars": "maximize",
    "costs": "minimize",
    "mean_shaped_reward": "maximize",
}
"""Every metric that a spec may name, and the direction in which it is better."""

METRIC_NAMES: tuple[str, ...] = tuple(METRIC_DIRECTIONS)

GAINS = ("mean_reward", "total_return", "cagr", "sharpe", "sortino", "calmar")
"""Metrics of what was earned: in these an agent can be held against one that does nothing."""

_OF_ACTIVITY = frozenset(
    (
        "max_drawdown",
        "max_drawdown_bars",
        "stopped",
        "turnover",
        "exposure",
        "n_trades",
        "n_closed",
        "holding_bars",
        "costs",
    )
)


def rewards_idleness(metric: str, direction: str) -> bool:
    """Whether the least of the metric is wanted and an agent that does nothing has it, 0: alone such a metric cannot
    choose a trader. (Costs can be below 0, where holding earns financing.)"""
    return direction == "minimize" and metric in _OF_ACTIVITY


WORST: dict[str, tuple[float, float]] = {
    "mean_reward": (-1000.0, 1000.0),
    "total_return": (-1.0, RATIO_CAP),
    "cagr": (-1.0, RATIO_CAP),
    "sharpe": (-RATIO_CAP, RATIO_CAP),
    "sortino": (-RATIO_CAP, RATIO_CAP),
    "calmar": (-RATIO_CAP, RATIO_CAP),
    "max_drawdown": (0.0, 1.0),
    "max_drawdown_bars": (0.0, 1e6),
    "stopped": (0.0, 1.0),
    "win_rate": (0.0, 1.0),
    "profit_factor": (0.0, RATIO_CAP),
    "expectancy": (-1.0, RATIO_CAP),
    "turnover": (0.0, RATIO_CAP),
    "exposure": (0.0, RATIO_CAP),
    "n_trades": (0.0, 1e6),
    "n_closed": (0.0, 1e6),
    "holding_bars": (0.0, 1e6),
    "costs": (-RATIO_CAP, RATIO_CAP),
    "mean_shaped_reward": (-1000.0, 1000.0),
}
"""Lowest and highest value that a diverged training is told as: finite, so that the sampler learns to keep away."""


def floor(metric: str, direction: str) -> float:
    """What a training that diverged is worth to a study that optimises a metric in a direction.

    For rewards it lies far below what an account can lose at ordinary coefficients; beyond that, a failed trial is
    still never reported as the best.
    """
    low, high = WORST.get(metric, (-RATIO_CAP, RATIO_CAP))  # a metric of the user's own may do worse, and then counts
    return low if direction == "maximize" else high


FLOOR: dict[str, float] = {name: floor(name, direction) for name, direction in METRIC_DIRECTIONS.items()}
"""All metrics of a diverged training, each in its natural direction."""


DO_NOTHING, BUY_AND_HOLD, RANDOM, HINDSIGHT = "do nothing", "buy and hold", "random", "hindsight"
"""What every result is held against (`fxai.evaluate.baselines`)."""
