"""docs/trading_model.md against fxai.env.account, by hand; random tapes are in test_account_tapes.py."""

from __future__ import annotations

from typing import Any

import pytest
from env.walking import CPU, one_account, plain_walk, prices, series
from pydantic import ValidationError

from fxai.config import EnvConfig
from fxai.config.env import FinancingConfig
from fxai.env.account import AccountRules
from fxai.env.rewards import RewardFunction

SHORT, FLAT, LONG = 0, 1, 2
"""Actions of levels −1, 0, 1."""


def config(**changes: Any) -> EnvConfig:
    """Levels −1, 0, 1 and no cost, no stop but bankruptcy, unless told otherwise."""
    plain_account: dict[str, Any] = {
        "position_levels": (-1.0, 0.0, 1.0),
        "spread_bp": 0.0,
        "early_stop_loss_threshold": 1.0,
        "max_drawdown": 1.0,
    }
    return EnvConfig(**(plain_account | changes))


class TestWorkedExample:
    """The last section of the document; every number below is printed there."""

    config = config(spread_bp=2.0, execution="next_open")
    market = prices([1.0, 1.01, 1.0], opens=[1.0, 1.0, 1.01])

    def test_tensors(self) -> None:
        w = one_account(self.market, self.config, [LONG, SHORT])
        o = w.outcome
        reward = series(RewardFunction([self.config.reward], CPU)(o))
        assert series(o.equity_before)[0] == 10_000.0
        assert series(o.equity)[0] == pytest.approx(10_099.00, rel=1e-12)
        assert series(o.cost)[0] == pytest.approx(1.00, rel=1e-9)
        assert reward[0] == pytest.approx(0.99, rel=1e-9)
        assert float(w.steps[0].after.units) == 10_000.0
        assert float(w.steps[1].at_fill) == pytest.approx(10_099.0, rel=1e-12)
        assert round(float(w.steps[1].after.units), 4) == -9_999.0099
        assert round(float(w.steps[1].after.units - w.steps[0].after.units), 4) == -19_999.0099
        assert round(series(o.cost)[1], 4) == 2.0199
        assert round(series(o.equity)[1], 4) == 10_196.9702
        assert [float(x) for x in o.closed.reshape(-1)] == [0.0, 1.0]
        assert round(100 * series(o.closed_gain)[1], 4) == 0.9799

    def test_reference(self) -> None:
        first, second = plain_walk(self.market, self.config, 0, [LONG, SHORT])
        assert first.equity == pytest.approx(10_099.00, rel=1e-12)
        assert first.fill_cost == pytest.approx(1.00, rel=1e-12)
        assert first.reward == pytest.approx(0.99, rel=1e-9)
        assert round(second.units, 4) == -9_999.0099
        assert round(second.fill_cost, 4) == 2.0199
        assert round(second.equity, 4) == 10_196.9702
        assert round(100 * second.closed[0].gain, 4) == 0.9799


class TestByHand:
    def test_next_close_fills_at_the_close(self) -> None:
        # Filled at 1.01 after the first move: 10,000 / 1.01 units, then −1% of 1.01: equity 10,000 · 0.9999 / 1.01.
        market = prices([1.0, 1.01, 0.9999])
        w = one_account(market, config(execution="next_close"), [LONG, LONG])
        assert series(w.outcome.equity) == pytest.approx([10_000.0, 10_000 * 0.9999 / 1.01], rel=1e-14)

    def test_financing_is_paid_for_calendar_days_on_the_side_held(self) -> None:
        # Long 10,000 over 3 days at 2 bp a day: 10,000 · 1 · 2e-4 · 3 = 6.  The order for short is filled at the open,
        # so those 6 are still the long's.  E_f = 9,994, short 9,994 over 0.5 days at 4 bp: 9,994 · 4e-4 · 0.5 = 1.9988.
        c = config(financing=FinancingConfig(long_bp_per_day=2.0, short_bp_per_day=4.0))
        w = one_account(prices([1.0] * 4, days=[1, 1, 3, 0.5]), c, [LONG, SHORT, SHORT])
        assert series(w.outcome.cost) == pytest.approx([0.0, 6.0, 1.9988], rel=1e-9, abs=1e-9)
        assert series(w.outcome.equity) == pytest.approx([10_000.0, 9_994.0, 9_992.0012], rel=1e-13)

    def test_negative_financing_is_earned(self) -> None:
        # 5,000 units at 2.0 are a notional of 10,000: 10,000 · 3 bp · 1 day = 3.
        c = config(financing=FinancingConfig(long_bp_per_day=-3.0, short_bp_per_day=9.0))
        w = one_account(prices([2.0, 2.0, 2.0]), c, [LONG, LONG])
        assert series(w.outcome.equity) == pytest.approx([10_000.0, 10_003.0], rel=1e-13)

    def test_costs_add_up(self) -> None:
        # Spread 4 / 2 + commission 1 + slippage 0.5 = 3.5 bp of 2 · 10,000.
        c = config(spread_bp=4.0, commission_bp=1.0, slippage_bp=0.5, leverage=2.0)
        w = one_account(prices([1.0, 1.0]), c, [LONG])
        assert series(w.outcome.cost) == pytest.approx([7.0], rel=1e-9)
        assert series(w.outcome.traded) == pytest.approx([2.0], rel=1e-12)

    def test_early_stop_closes_pays_the_spread_at_the_close_and_starts_afresh(self) -> None:
        # 10,000 units at 1.0 (own spread at the open 0); at 0.5 equity is 5,000, exactly the threshold: stopped.
        # Closing 10,000 · 0.5 at half of 20 bp costs 5,000 · 10 bp = 5: 4,995 left, gain −0.5005 after 1 bar.
        c = config(early_stop_loss_threshold=0.5)
        market = prices([1.0, 0.5, 0.5], spread_open_bp=[0, 0, 0], spread_close_bp=[20, 20, 20])
        w = one_account(market, c, [LONG, LONG])
        o = w.outcome
        assert series(o.terminated) == [1.0, 0.0]
        assert series(o.equity)[0] == pytest.approx(4_995.0, rel=1e-13)
        assert series(o.cost)[0] == pytest.approx(5.0, rel=1e-9)
        assert series(o.closed) == [1.0, 0.0]
        assert series(o.closed_gain)[0] == pytest.approx(-0.5005, rel=1e-12)
        assert series(o.closed_mae)[0] == pytest.approx(-0.5005, rel=1e-12)
        assert series(o.closed_bars)[0] == 1.0
        # The fresh account is flat, so the same action opens a trade again, from the full capital.
        assert series(o.equity_before)[1] == 10_000.0
        assert series(o.opened) == [1.0, 1.0]
        assert float(w.steps[1].after.units) == pytest.approx(20_000.0, rel=1e-14)

    def test_every_stop_threshold_counts_from_exact_equality_on(self) -> None:
        # Prices are multiples of 1/8, so every number below is exact.
        def stopped(close: float, **rules: Any) -> bool:
            o = one_account(prices([1.0, 2.0, close]), config(**rules), [LONG, LONG]).outcome
            assert series(o.terminated)[0] == 0.0
            return bool(series(o.terminated)[1])

        # 10,000 units, so equity is 10,000 · close.  Early stop at ¼: at 7,500 stopped, at 8,750 not.
        assert stopped(0.75, early_stop_loss_threshold=0.25)
        assert not stopped(0.875, early_stop_loss_threshold=0.25)
        # Drawdown from the peak of 20,000 at ¼: at 15,000 stopped, at 16,250 not.
        assert stopped(1.5, max_drawdown=0.25)
        assert not stopped(1.625, max_drawdown=0.25)

    def test_a_margin_call_is_below_the_margin_and_not_at_it(self) -> None:
        # Short 10,000 at 1.0: at c equity is 20,000 − 10,000 · c, and 0.6 of the notional 6,000 · c.  They meet at
        # c = 1.25, where both are 7,500 without rounding.
        short = config(maintenance_margin=0.6)
        at = one_account(prices([1.0, 1.25]), short, [SHORT]).outcome  # 7,500 of 0.6 · 12,500 = 7,500
        assert series(at.equity) == [7_500.0]
        assert series(at.terminated) == [0.0]
        below = one_account(prices([1.0, 1.250001]), short, [SHORT]).outcome  # 7,499.99 of 7,500.006
        assert series(below.terminated) == [1.0]
        assert series(below.closed_gain) == pytest.approx([-0.250001], rel=1e-9)

    def test_a_margin_call_pays_for_closing(self) -> None:
        # Leverage 10, margin 5%, spread 10 bp at the close alone: 100,000 long; at 0.94 equity is 4,000 of 4,700.
        # Closing 94,000 at 5 bp costs 47.
        c = config(leverage=10.0, maintenance_margin=0.05)
        market = prices([1.0, 0.94, 0.94], spread_open_bp=[0, 0, 0], spread_close_bp=[10, 10, 10])
        w = one_account(market, c, [LONG, FLAT])
        assert series(w.outcome.terminated) == [1.0, 0.0]
        assert series(w.outcome.equity) == pytest.approx([3_953.0, 10_000.0], rel=1e-13)
        assert series(w.outcome.cost)[0] == pytest.approx(47.0, rel=1e-9)
        # At 0.95 equity is 5,000 of 4,750: it goes on.
        assert series(one_account(prices([1.0, 0.95]), c, [LONG]).outcome.terminated) == [0.0]

    def test_a_flat_account_needs_no_margin(self) -> None:
        c = config(leverage=10.0, maintenance_margin=0.09)
        o = one_account(prices([1.0, 1.0, 0.1]), c, [FLAT, FLAT]).outcome
        assert series(o.terminated) == [0.0, 0.0]

    def test_leverage_and_margin_that_call_at_once_are_refused(self) -> None:
        with pytest.raises(ValidationError, match=r"leverage 20 × maintenance_margin 0\.05 = 1 must be below 1"):
            config(leverage=20.0, maintenance_margin=0.05)
        config(leverage=20.0, maintenance_margin=0.0499)
        for margin in (-0.1, 1.0):
            with pytest.raises(ValidationError, match="maintenance_margin"):
                config(leverage=0.5, maintenance_margin=margin)

    @pytest.mark.parametrize("levels", [(0.0, 1.0), (-1.0, 0.0), (-0.3, 0.0, 0.1, 0.9)], ids=str)
    def test_any_ascending_list_of_levels(self, levels: tuple[float, ...]) -> None:
        # Each level in turn from flat, at price 2 with leverage 3: level · 3 · 10,000 / 2 units; then 2.1.
        for action, level in enumerate(levels):
            w = one_account(prices([2.0, 2.1]), config(position_levels=levels, leverage=3.0), [action])
            assert float(w.steps[0].after.units) == pytest.approx(level * 15_000, rel=1e-14)
            assert series(w.outcome.equity) == pytest.approx([10_000 + level * 1_500], rel=1e-14)
            assert series(w.outcome.opened) == [float(level != 0)]

    def test_max_drawdown_counts_from_the_highest_equity(self) -> None:
        # 10,000 → 20,000 → 15,000: 25% under the peak, although half above the initial capital.
        c = config(max_drawdown=0.25)
        o = one_account(prices([1.0, 2.0, 1.5]), c, [LONG, LONG]).outcome
        assert series(o.terminated) == [0.0, 1.0]
        assert series(o.drawdown) == [0.0, 0.25]
        assert series(o.equity) == [20_000.0, 15_000.0]

    def test_bankruptcy_leaves_nothing_and_no_debt(self) -> None:
        # Leverage 10: 100,000 units; 1.0 → 0.8 loses 20,000 of 10,000.  Closing 80,000 at 5 bp would cost 40.
        c = config(leverage=10.0, spread_bp=10.0)
        o = one_account(prices([1.0, 0.8]), c, [LONG]).outcome
        assert series(o.equity) == [0.0]
        assert series(o.drawdown) == [1.0]
        assert series(o.closed_gain) == [-1.0]
        # Charged at the fill 100,000 · 5 bp = 50 and at the close 80,000 · 5 bp = 40.
        assert series(o.cost) == pytest.approx([90.0], rel=1e-9)

    def test_an_account_that_is_bankrupt_at_the_fill_opens_nothing(self) -> None:
        # Long 100,000 at 1.0; the next open is 0.85: E_f = 10,000 − 15,000 < 0.  The order for short becomes 0 units.
        c = config(leverage=10.0)
        o = one_account(prices([1.0, 1.0, 0.5], opens=[1.0, 1.0, 0.85]), c, [LONG, SHORT]).outcome
        assert series(o.terminated) == [0.0, 1.0]
        assert series(o.opened) == [1.0, 0.0]
        assert series(o.closed) == [0.0, 1.0]
        assert series(o.equity) == [10_000.0, 0.0]
        # Sold 100,000 · 0.85 against an equity of 10,000, and paid nothing for it.
        assert series(o.traded)[1] == pytest.approx(8.5, rel=1e-12)
        assert series(o.cost)[1] == pytest.approx(0.0, abs=1e-9)
        assert series(o.exposure)[1] == 0.0

    def test_an_account_that_cannot_pay_for_closing_opens_nothing(self) -> None:
        # Leverage 20: 200,000 units, charged 200,000 · 1 bp = 20.  At the next open 0.9502 the loss is 9,960, E_f = 20,
        # and closing costs 200,000 · 0.9502 · 1 bp = 19.004, which leaves 0.996: the short opens.
        # At 0.95015 the cost is not covered: the order for short becomes 0 units, and no gain is huge.
        c = config(leverage=20.0, spread_bp=2.0)
        left = one_account(prices([1.0, 1.0, 0.7], opens=[1.0, 1.0, 0.9502]), c, [LONG, SHORT]).outcome
        assert series(left.opened) == [1.0, 1.0]
        gone = one_account(prices([1.0, 1.0, 0.7], opens=[1.0, 1.0, 0.95015]), c, [LONG, SHORT]).outcome
        # E_f = 9,980 − 200,000 · 0.04985 = 10 > 0, but closing costs 19.003
        assert series(gone.opened) == [1.0, 0.0]
        assert series(gone.terminated) == [0.0, 1.0]
        # (10 − 19.003)/10,000 − 1 would be −1.0009; a trade loses at most its entry equity
        assert series(gone.closed_gain) == [0.0, -1.0]

    def test_a_trade_goes_on_through_a_change_of_size_and_ends_where_the_sign_turns(self) -> None:
        # Levels −1, 0, ½, 1.  Open 1.0 = the close before, so E_f is the equity before.
        #   bar 1  0 → 1   opens at 10,000; close 1.10: 11,000, gain +10%
        #   bar 2  1 → ½   11,000 · ½ / 1.10 = 5,000 units, same trade; close 1.00: 10,500, gain +5%
        #   bar 3  ½ → −1  closes with 10,500 / 10,000 − 1 = +5% after 2 closes; 10,500 units short; close 0.9: 11,550
        #   bar 4  −1 → 0  closes with 11,550 / 10,500 − 1 = +10% after 1 close
        c = config(position_levels=(-1.0, 0.0, 0.5, 1.0))
        market = prices([1.0, 1.1, 1.0, 0.9, 0.9])
        w = one_account(market, c, [3, 2, 0, 1])
        o = w.outcome
        assert series(o.equity) == pytest.approx([11_000, 10_500, 11_550, 11_550], rel=1e-13)
        assert series(o.opened) == [1, 0, 1, 0]
        assert series(o.closed) == [0, 0, 1, 1]
        assert series(o.closed_gain) == pytest.approx([0, 0, 0.05, 0.10], abs=1e-12)
        assert series(o.closed_bars) == [0, 0, 2, 1]
        assert series(o.bars_held) == [1, 2, 1, 0]
        assert [float(s.after.mfe) for s in w.steps] == pytest.approx([0.1, 0.1, 0.1, 0.0], abs=1e-12)
        assert series(o.exposure) == pytest.approx([1.0, 5_000 / 10_500, -9_450 / 11_550, 0.0], rel=1e-12)

    def test_the_entry_equity_of_a_reversal_is_net_of_closing_the_old_trade(self) -> None:
        # Spread 20 bp, κ = 10 bp, flat price.  Long 10,000: pays 10.  Reversal: E_f = 9,990, closing costs 10 → entry
        # 9,980; short 9,990 units costs 9.99 more → 9,970.01; the gain so far is 9,970.01 / 9,980 − 1.
        w = one_account(prices([1.0, 1.0, 1.0]), config(spread_bp=20.0), [LONG, SHORT])
        after = w.steps[1].after
        assert float(after.entry_equity) == pytest.approx(9_980.0, rel=1e-14)
        assert float(after.equity) == pytest.approx(9_970.01, rel=1e-14)
        assert float(after.gain) == pytest.approx(9_970.01 / 9_980 - 1, rel=1e-9)
        # The old trade: (9,990 − 10) / 10,000 − 1 = −0.2%, lower than −0.1% at its close, so that is its MAE.
        assert series(w.outcome.closed_gain)[1] == pytest.approx(-0.002, rel=1e-9)
        assert series(w.outcome.closed_mae)[1] == pytest.approx(-0.002, rel=1e-9)

    def test_of_two_trades_that_end_in_one_bar_the_stopped_one_is_told(self) -> None:
        # Long 10,000 at 1.0, open 1.2: exits with +20%, and short 12,000 / 1.2 = 10,000 units; close 1.9: −7,000 from
        # 12,000 leaves 5,000, the early stop.  Gain of the short: 5,000 / 12,000 − 1.
        c = config(early_stop_loss_threshold=0.5)
        o = one_account(prices([1.0, 1.0, 1.9], opens=[1.0, 1.0, 1.2]), c, [LONG, SHORT]).outcome
        assert series(o.terminated) == [0.0, 1.0]
        assert series(o.closed) == [0.0, 1.0]
        assert series(o.closed_gain)[1] == pytest.approx(5_000 / 12_000 - 1, rel=1e-12)
        assert series(o.closed_bars)[1] == 1.0

    def test_members_must_share_levels(self) -> None:
        with pytest.raises(ValueError, match="position_levels"):
            AccountRules.stack([config(), config(position_levels=(0.0, 1.0))], CPU)
