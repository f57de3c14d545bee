"""The metrics that a spec may name; `fxai.evaluate.metrics` computes them."""

from __future__ import annotations

RATIO_CAP = 100.0
"""Ratios are clipped to ± this, so that no metric is ever infinite."""

METRIC_DIRECTIONS: dict[str, str] = {
    "mean_reward": "maximize",
    "sharpe": "maximize",
    "sortino": "maximize",
    "calmar": "maximize",
    "total_return": "maximize",
    "max_drawdown": "minimize",
    "profit_factor": "maximize",
    "win_rate": "maximize",
    "turnover": "minimize",
    "n_trades": "maximize",
    "mean_shaped_reward": "maximize",
}
"""Every metric that a spec may name, and the direction in which it is better."""

METRIC_NAMES: tuple[str, ...] = tuple(METRIC_DIRECTIONS)

WORST: dict[str, tuple[float, float]] = {
    "mean_reward": (-1000.0, 1000.0),
    "sharpe": (-RATIO_CAP, RATIO_CAP),
    "sortino": (-RATIO_CAP, RATIO_CAP),
    "calmar": (-RATIO_CAP, RATIO_CAP),
    "total_return": (-1.0, RATIO_CAP),
    "max_drawdown": (0.0, 1.0),
    "profit_factor": (0.0, RATIO_CAP),
    "win_rate": (0.0, 1.0),
    "turnover": (0.0, RATIO_CAP),
    "n_trades": (0.0, 1e6),
    "mean_shaped_reward": (-1000.0, 1000.0),
}
"""Lowest and highest value that a diverged training is told as: finite, so that the sampler learns to keep away."""


def floor(metric: str, direction: str) -> float:
    """What a training that diverged is worth to a study that optimises a metric in a direction.

    For rewards it lies far below what an account can lose at ordinary coefficients; beyond that, a failed trial is
    still never reported as the best.
    """
    return WORST[metric][0] if direction == "maximize" else WORST[metric][1]


FLOOR: dict[str, float] = {name: floor(name, direction) for name, direction in METRIC_DIRECTIONS.items()}
"""All metrics of a diverged training, each in its natural direction."""
