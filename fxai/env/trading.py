"""The batched trading environment: accounts that walk stretches of bars together.

Axes: P population, S segments (stretches of bars), K accounts that share a segment, T steps, W warm-up + T + 1 rows,
F features, N bars of the market part.  The market does not answer to the agent: all that depends on bars
alone (features, prices, cost rates) is gathered for a whole stretch at once; only the accounts are walked bar by bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fxai.config import EnvConfig
from fxai.env.account import BASIS_POINT, AccountRules, AccountState, Bar
from fxai.errors import DataError
from fxai.market.data import MarketPart

NANOSECONDS_PER_DAY = 86_400 * 1_000_000_000

ACCOUNT_FEATURES = ("level", "exposure", "gain", "bars_held", "drawdown", "mfe", "mae")
"""What the head sees of an account, beside the encoded bar."""


_SCALES = (1.0, 1.0, 100.0, 0.1, 100.0, 100.0, 100.0)
"""Factors under asinh: fractions become per cent, ten bars held become one."""


class TradingEnv:
    """One market part under the account rules of each member.

    Args:
        part: bars and features, laid end to end over instruments.
        configs: the members' `env` sections; one for each member.
        device: where tensors live.

    Raises:
        DataError: `execution: next_open` on bars without an open.
    """

    def __init__(self, part: MarketPart, configs: Sequence[EnvConfig], device: torch.device) -> None:
        executions = {c.execution for c in configs}
        if len(executions) > 1:
            raise ValueError("the members of a population must share env.execution")
        at_open = executions == {"next_open"}
        if at_open and part.open_N is None:
            raise DataError("these bars have no open price", where="env.execution", hint="use next_close")
        self.part = part
        self.device = device
        self.rules = AccountRules.stack(configs, device)

        def tensor(array: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=device)

        fill, spread_fill = (part.open_N, part.spread_open_bp_N) if at_open else (part.close_N, part.spread_close_bp_N)
        assert fill is not None
        days = np.diff(part.time_N, prepend=part.time_N[:1]) / NANOSECONDS_PER_DAY
        self.features_NF = tensor(part.features_NF, torch.float32)
        self._scales_O = torch.tensor(_SCALES, device=device)
        self._close_N = tensor(part.close_N)
        self._fill_N = tensor(fill)
        self._days_N = tensor(days)
        self._spread_fill_N = None if spread_fill is None else tensor(spread_fill)
        self._spread_close_N = None if part.spread_close_bp_N is None else tensor(part.spread_close_bp_N)

    @property
    def n_actions(self) -> int:
        """Number of position levels."""
        return len(self.rules.levels_A)

    def starts(self, steps: int, window: int) -> list[tuple[int, int]]:
        """Per instrument, the half-open range of rows at which a stretch of `steps` decisions may begin."""
        offsets = self.part.offsets_I
        return [(int(a) + window - 1, int(b) - steps) for a, b in pairwise(offsets)]

    def windows(self, rows_PS: Tensor, before: int, after: int) -> Tensor:
        """Features of rows `start − before` … `start + after − 1`, [P, S, before + after, F]."""
        span = torch.arange(-before, after, device=self.device)
        return self.features_NF[rows_PS[..., None] + span]

    def bars(self, rows_PS: Tensor, steps: int) -> tuple[Bar, list[Bar]]:
        """Prices of the `steps` bars after each segment's first decision row: stacked over T, and one by one."""
        rows_TPS = rows_PS + torch.arange(steps + 1, device=self.device)[:, None, None]
        close = self._close_N[rows_TPS][..., None]
        stacked = Bar.of(
            self.rules,
            close_before=close[:-1],
            fill=self._fill_N[rows_TPS[1:]][..., None],
            close=close[1:],
            cost_rate_fill=self._cost_rate(self._spread_fill_N, rows_TPS[1:]),
            cost_rate_close=self._cost_rate(self._spread_close_N, rows_TPS[1:]),
            days=self._days_N[rows_TPS[1:]][..., None],
        )
        columns = [getattr(stacked, f.name).unbind() for f in fields(Bar)]
        names = [f.name for f in fields(Bar)]
        return stacked, [Bar(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]

    def _cost_rate(self, spread_bp_N: Tensor | None, rows_TPS: Tensor) -> Tensor:
        spread = self.rules.spread_bp_P11 if spread_bp_N is None else spread_bp_N[rows_TPS][..., None]
        rate = (spread * 0.5 + self.rules.other_cost_bp_P11) * BASIS_POINT
        return rate.expand(*rows_TPS.shape, 1)

    def observe(self, state: AccountState, close: Tensor) -> Tensor:
        """What the head sees of each account at a close, float32 [P, S, K, len(ACCOUNT_FEATURES)].

        All under asinh, so that small values stay linear and large ones stay bounded.
        """
        exposure = state.units * close / (state.equity * self.rules.leverage_P11)
        level = self.rules.levels_A.take(state.action)
        columns = [level, exposure, state.gain, state.bars_held, state.drawdown, state.mfe, state.mae]
        return _asinh(torch.stack(columns, dim=-1).float() * self._scales_O)


def _asinh(x: Tensor) -> Tensor:
    """asinh of a float32 tensor, exact to 1e-7 of max(1, |asinh x|); torch's own takes a CPU seven times as long.

    Beyond 1e18 it stays at 42: the square has to be finite.
    """
    if x.device.type != "cpu":
        return torch.asinh(x)
    size = x.abs().clamp_(max=1e18)
    return (size * size).add_(1.0).sqrt_().add_(size).log_().copysign_(x)
