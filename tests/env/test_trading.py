"""The batched environment: which rows it gathers, and that nothing it tells comes from later bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from env.parts import HOUR, make_part
from env.walking import CPU, Prices, all_terms, plain_walk, stacked, sticky_actions
from torch import Tensor

from fxai.config import EnvConfig
from fxai.config.env import FinancingConfig
from fxai.env.account import AccountState, Bar, Outcome, Step, fresh, renew, step
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv, _asinh
from fxai.errors import DataError
from fxai.market.data import MarketPart

LENGTHS = (30, 22, 41)
WINDOW, STEPS = 6, 10

REWARD = all_terms(max_holding_time_steps=2, max_mae_threshold=0.05)


def config(**changes: Any) -> EnvConfig:
    return EnvConfig(**({"spread_bp": 3.0, "commission_bp": 0.5, "reward": REWARD} | changes))


def environment(part: MarketPart, *configs: EnvConfig) -> TradingEnv:
    return TradingEnv(part, configs or [config()], CPU)


class TestStarts:
    def test_ranges_by_hand(self) -> None:
        # Window 6: the first decision has 5 rows before it.  10 steps: the last bar walked is start + 10.
        #   rows  0 … 29   starts  5 … 19   (19 + 10 = 29)
        #   rows 30 … 51   starts 35 … 41
        #   rows 52 … 92   starts 57 … 82
        env = environment(make_part(LENGTHS))
        assert env.starts(STEPS, WINDOW) == [(5, 20), (35, 42), (57, 83)]

    @pytest.mark.parametrize(("steps", "window"), [(1, 1), (3, 8), (10, 6), (21, 1), (14, 8)])
    def test_window_and_episode_fit_and_not_one_start_more_would(self, steps: int, window: int) -> None:
        part = make_part(LENGTHS)
        env = environment(part)
        for i, (low, high) in enumerate(env.starts(steps, window)):
            first, last = int(part.offsets_I[i]), int(part.offsets_I[i + 1]) - 1
            allowed = [row for row in range(first, last + 1) if row - (window - 1) >= first and row + steps <= last]
            assert list(range(low, high)) == allowed

    def test_an_instrument_that_is_too_short_has_an_empty_range(self) -> None:
        # 22 bars cannot hold 5 rows before, the start, and 17 after (23).
        low, high = environment(make_part(LENGTHS)).starts(17, WINDOW)[1]
        assert high <= low


def border_rows(env: TradingEnv) -> Tensor:
    """First and last start of every instrument, [1, S]."""
    return torch.tensor([[row for low, high in env.starts(STEPS, WINDOW) for row in (low, high - 1)]])


class TestGathering:
    def test_windows_hold_their_rows_and_stay_within_the_instrument(self) -> None:
        part = make_part(LENGTHS)
        env = environment(part)
        rows = border_rows(env)
        windows = env.windows(rows, WINDOW - 1, STEPS + 1)
        assert windows.shape == (1, 6, WINDOW + STEPS, 3)
        assert windows.dtype == torch.float32
        for s, start in enumerate(rows[0].tolist()):
            want = np.arange(start - 5, start + 11)
            np.testing.assert_array_equal(windows[0, s, :, 0].numpy(), want)  # feature 0 is the row's number
            np.testing.assert_array_equal(windows[0, s].numpy(), part.features_NF[want])
            assert np.unique(np.searchsorted(part.offsets_I, want, side="right")).size == 1

    @pytest.mark.parametrize("own_spreads", [False, True], ids=["spread_bp", "own spreads"])
    @pytest.mark.parametrize("execution", ["next_open", "next_close"])
    def test_bars_hold_their_rows(self, execution: Any, own_spreads: bool) -> None:
        part = make_part(LENGTHS, own_spreads=own_spreads)
        members = [
            config(execution=execution),
            config(execution=execution, spread_bp=8.0, slippage_bp=2.0),
        ]
        env = environment(part, *members)
        rows = border_rows(env).expand(2, -1).clone()
        rows[1] += torch.tensor([1, 0, 1, 0, 1, 0])
        stack, bars = env.bars(rows, STEPS)
        assert len(bars) == STEPS
        at_open = execution == "next_open"
        own_fill = part.spread_open_bp_N if at_open else part.spread_close_bp_N
        assert part.open_N is not None
        fill = part.open_N if at_open else part.close_N
        for t, p, s in np.ndindex(STEPS, 2, 6):
            now = int(rows[p, s]) + t  # the row of the decision; the order is filled in the next
            of = {name: self.at(getattr(bars[t], name), p, s) for name in (f.name for f in fields(Bar))}
            extra = members[p].commission_bp + members[p].slippage_bp
            spread = members[p].spread_bp
            assert of["close_before"] == part.close_N[now]
            assert of["close"] == part.close_N[now + 1]
            assert of["fill"] == fill[now + 1]
            assert of["days"] == pytest.approx((part.time_N[now + 1] - part.time_N[now]) / (24 * HOUR), rel=1e-12)
            at_fill = spread if own_fill is None else own_fill[now + 1]
            at_close = spread if part.spread_close_bp_N is None else part.spread_close_bp_N[now + 1]
            assert of["cost_rate_fill"] == pytest.approx((at_fill / 2 + extra) * 1e-4, rel=1e-12)
            assert of["cost_rate_close"] == pytest.approx((at_close / 2 + extra) * 1e-4, rel=1e-12)
        for f in fields(Bar):
            one_by_one = torch.stack([getattr(b, f.name) for b in bars])
            assert torch.equal(getattr(stack, f.name), one_by_one), f.name
            assert getattr(stack, f.name).dtype == torch.float64

    @staticmethod
    def at(values: Tensor, p: int, s: int) -> float:
        return float(values.expand(2, 6, 1)[p, s, 0])

    def test_days_are_calendar_time_within_an_instrument(self) -> None:
        # Rows are an hour apart, and 49 before every 120th; the border between instruments goes back in time.
        part = make_part((150, 150))
        env = environment(part)
        stack, _ = env.bars(torch.tensor([[110, 260]]), 20)
        days = stack.days[:, 0, :, 0]
        assert sorted(set(np.round((days * 24).flatten().tolist(), 9))) == [1.0, 49.0]
        assert float(days[8, 0]) * 24 == pytest.approx(49.0)  # row 119


@dataclass(frozen=True)
class Told:
    """All that an agent learns on a walk; [T, …], entry t at the close of the row start + t."""

    features: Tensor
    observed: Tensor
    """[T + 1, P, S, K, features of the account]"""
    reward: Tensor
    """[T, …]; entry t is paid at the close of start + t + 1."""
    outcome: Outcome


def play(part: MarketPart, configs: Sequence[EnvConfig], rows: Tensor, actions: np.ndarray) -> Told:
    """A fixed tape of actions [T, P, S, K]."""
    env = TradingEnv(part, configs, CPU)
    _, bars = env.bars(rows, len(actions))
    new = fresh(env.rules, *actions.shape[2:])
    state: AccountState = new
    observed, steps = [], list[Step]()
    for t, bar in enumerate(bars):
        observed.append(env.observe(state, bar.close_before))
        steps.append(step(state, torch.tensor(actions[t]), bar, env.rules))
        state = renew(steps[-1], new)
    observed.append(env.observe(state, bars[-1].close))
    o = stacked(steps, bars)
    return Told(
        features=env.windows(rows, WINDOW - 1, len(actions) + 1),
        observed=torch.stack(observed),
        reward=RewardFunction([c.reward for c in configs], CPU)(o),
        outcome=o,
    )


def scrambled_after(part: MarketPart, row: int, seed: int) -> MarketPart:
    """Other prices, spreads and features in all rows after `row`; times stay, they are known beforehand."""
    rng = np.random.default_rng(seed)

    def other(values: np.ndarray | None) -> Any:
        if values is None:
            return None
        changed = values.copy()
        changed[row + 1 :] *= np.exp(rng.normal(0, 0.3, changed[row + 1 :].shape)).astype(values.dtype)
        return changed

    return replace(
        part,
        open_N=other(part.open_N),
        close_N=other(part.close_N),
        spread_open_bp_N=other(part.spread_open_bp_N),
        spread_close_bp_N=other(part.spread_close_bp_N),
        features_NF=other(part.features_NF),
    )


class TestLookAhead:
    @pytest.mark.parametrize("execution", ["next_open", "next_close"])
    @pytest.mark.parametrize("after", [0, 1, 7, 19])
    def test_later_bars_change_nothing_at_or_before_t(self, execution: Any, after: int) -> None:
        part = make_part((60,), seed=after, own_spreads=True, volatility=0.05)
        financing = FinancingConfig(long_bp_per_day=3.0, short_bp_per_day=1.0)
        configs = [config(execution=execution, leverage=x, financing=financing) for x in (1.0, 10.0)]
        start, steps = 20, 20
        rows = torch.full((2, 1), start)
        actions = sticky_actions(np.random.default_rng(after), (steps, 2, 1, 6), 5)
        told = play(part, configs, rows, actions)
        other = play(scrambled_after(part, start + after, seed=1), configs, rows, actions)
        # At the close of row start + after the account has been observed after + 1 times and paid `after` times.
        assert torch.equal(told.observed[: after + 1], other.observed[: after + 1])
        assert torch.equal(told.reward[:after], other.reward[:after])
        for f in fields(Outcome):
            before, later = getattr(told.outcome, f.name)[:after], getattr(other.outcome, f.name)[:after]
            assert torch.equal(before, later), f.name
        seen = WINDOW + after
        assert torch.equal(told.features[:, :, :seen], other.features[:, :, :seen])
        # The change is one that the very next bar shows, so the test would see a leak.
        assert not torch.equal(told.features[:, :, seen], other.features[:, :, seen])
        assert not torch.equal(told.observed[after + 1 :], other.observed[after + 1 :])
        assert not torch.equal(told.outcome.equity[after:], other.outcome.equity[after:])

    def test_an_order_is_not_filled_at_the_price_that_was_seen(self) -> None:
        # Decided at close 1.0, filled at the next open 1.1 that is the next close too: the jump is not earned.
        part = make_part((12,), own_spreads=False)
        closes = np.array([1.0] * 6 + [1.1] * 6)
        part = replace(part, close_N=closes, open_N=closes.copy())
        long = np.full((3, 1, 1, 1), 4)
        told = play(part, [config(spread_bp=0.0, commission_bp=0.0)], torch.tensor([[5]]), long)
        assert told.outcome.equity.flatten().tolist() == [10_000.0] * 3


class TestObserve:
    def test_by_hand(self) -> None:
        # Leverage 4, level ½: 2 · 10,000 / 1.0 = 20,000 units.  Close 1.01: equity 10,200.
        #   level 0.5; exposure 20,000 · 1.01 / (10,200 · 4) = 0.4950980…; gain 2%; bars held 1 → 0.1;
        #   drawdown 0; MFE 2%; MAE 0.  All under asinh, fractions in per cent.
        part = make_part((12,))
        closes = np.array([1.0] * 6 + [1.01] * 6)
        part = replace(part, close_N=closes, open_N=np.concatenate([[1.0], closes[:-1]]))
        free = config(spread_bp=0.0, commission_bp=0.0, leverage=4.0)
        told = play(part, [free], torch.tensor([[5]]), np.full((1, 1, 1, 1), 3))
        assert ACCOUNT_FEATURES == ("level", "exposure", "gain", "bars_held", "drawdown", "mfe", "mae")
        assert told.observed[0].flatten().tolist() == [0.0] * 7  # a fresh account is all zeros
        want = np.arcsinh([0.5, 20_200 / 40_800, 2.0, 0.1, 0.0, 2.0, 0.0])
        np.testing.assert_allclose(told.observed[1].flatten().numpy(), want, rtol=1e-6, atol=1e-7)

    def test_its_asinh_is_that_of_float64(self) -> None:
        sizes = torch.logspace(-30, 18, 5_000)
        values = torch.cat([sizes, -sizes, torch.zeros(1)])
        want = torch.asinh(values.double())
        error = (_asinh(values) - want).abs() / want.abs().clamp(min=1.0)
        assert float(error.max()) < 1.5e-7  # float32 itself has 1.2e-7
        # the largest numbers there are stay finite: asinh(1e18) = log(2e18) = 42.14
        assert _asinh(torch.tensor([3e38, -3e38])).tolist() == pytest.approx([42.1397, -42.1397], abs=1e-4)
        assert torch.isnan(_asinh(torch.tensor([float("nan")]))).all()

    @pytest.mark.parametrize("execution", ["next_open", "next_close"])
    def test_shape_and_range_on_a_violent_market(self, execution: Any) -> None:
        part = make_part((300, 300), seed=5, volatility=0.2, own_spreads=True)
        configs = [
            config(execution=execution, leverage=20.0, early_stop_loss_threshold=1.0, max_drawdown=1.0),
            config(execution=execution, leverage=1.0, initial_capital=1e-3),
            config(execution=execution, leverage=20.0, initial_capital=1e9),
        ]
        rows = torch.tensor([[20, 330]]).expand(3, -1)
        actions = sticky_actions(np.random.default_rng(5), (200, 3, 2, 8), 5)
        told = play(part, configs, rows, actions)
        assert told.observed.shape == (201, 3, 2, 8, len(ACCOUNT_FEATURES))
        assert told.observed.dtype == torch.float32
        assert torch.isfinite(told.observed).all()
        assert torch.isfinite(told.reward).all()
        assert bool(told.outcome.terminated.any())

    def test_actions_are_the_levels(self) -> None:
        assert environment(make_part((12,)), config(position_levels=(0.0, 0.5, 1.0))).n_actions == 3


@pytest.mark.parametrize("execution", ["next_open", "next_close"])
def test_the_environment_pays_what_the_reference_pays(execution: Any) -> None:
    """From the rows of a part to rewards: gathering, costs and accounts together."""
    part = make_part(LENGTHS, seed=9, volatility=0.05, own_spreads=True)
    financing = FinancingConfig(long_bp_per_day=3.0, short_bp_per_day=-1.0)
    configs = [config(execution=execution, leverage=x, financing=financing) for x in (1.0, 8.0)]
    rows = border_rows(environment(part)).expand(2, -1)
    actions = sticky_actions(np.random.default_rng(9), (STEPS, 2, 6, 3), 5)
    told = play(part, configs, rows, actions)
    assert part.open_N is not None
    assert part.spread_open_bp_N is not None
    assert part.spread_close_bp_N is not None
    for p, s, k in np.ndindex(2, 6, 3):
        span = slice(int(rows[p, s]), int(rows[p, s]) + STEPS + 1)
        stretch = Prices(
            open=part.open_N[span, None],
            close=part.close_N[span, None],
            days=np.diff(part.time_N[span], prepend=0)[:, None] / (24 * HOUR),
            spread_open_bp=part.spread_open_bp_N[span, None],
            spread_close_bp=part.spread_close_bp_N[span, None],
        )
        want = plain_walk(stretch, configs[p], 0, [int(a) for a in actions[:, p, s, k]])
        equity = told.outcome.equity[:, p, s, k].tolist()
        assert equity == pytest.approx([r.equity for r in want], rel=1e-9)
        assert told.reward[:, p, s, k].tolist() == pytest.approx([r.reward for r in want], rel=1e-9, abs=1e-9)


def test_the_execution_of_the_bars_is_checked() -> None:
    with pytest.raises(DataError, match="no open price"):
        environment(make_part((12,), has_open=False), config(execution="next_open"))
    environment(make_part((12,), has_open=False), config(execution="next_close"))


def test_members_must_share_the_execution() -> None:
    with pytest.raises(ValueError, match="execution"):
        environment(make_part((12,)), config(), config(execution="next_close"))
