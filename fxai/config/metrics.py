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

FLOOR: dict[str, float] = {
    "mean_reward": -100.0,
    "sharpe": -RATIO_CAP,
    "sortino": -RATIO_CAP,
    "calmar": -RATIO_CAP,
    "total_return": -1.0,
    "max_drawdown": 1.0,
    "profit_factor": 0.0,
    "win_rate": 0.0,
    "turnover": RATIO_CAP,
    "n_trades": 0.0,
    "mean_shaped_reward": -100.0,
}
"""What a training that diverged is worth: finite, so that the sampler learns to keep away."""
