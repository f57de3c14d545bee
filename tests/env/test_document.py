"""Every number that docs/trading_model.md works out, computed again from the prices that stand there.

The first worked example of an account is in test_account.py.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from env.walking import (
    CPU,
    FLAGS,
    Prices,
    all_terms,
    one_account,
    plain_walk,
    prices,
    series,
)

from fxai import yaml_strict
from fxai.config import EnvConfig, RewardConfig
from fxai.config.env import FinancingConfig
from fxai.config.load import validate
from fxai.env.account import Outcome
from fxai.env.rewards import COEFFICIENTS, TERMS, RewardFunction

DOCUMENT = (Path(__file__).parents[2] / "docs" / "trading_model.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands below a heading, up to the next one."""
    return re.split(r"^#+ ", DOCUMENT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def shown(value: float) -> str:
    """Four decimals without their last zeros, as the document writes numbers."""
    text = f"{round(value, 4) + 0.0:,.4f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def table(title: str) -> dict[str, list[str]]:
    """Rows of the first table of a section by their first cell."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section(title).splitlines() if "|" in line
    ]
    return {row[0]: row[1:] for row in rows}


def flags_of_the_document() -> dict[str, str]:
    """Flag of each term by the term's name there."""
    return {name: cells[0].strip("`") for name, cells in table("Rewards").items() if "enable_" in cells[0]}


def test_every_term_and_every_coefficient_stands_in_the_table() -> None:
    assert set(flags_of_the_document().values()) == set(TERMS)
    rewards = section("Rewards")
    for name in COEFFICIENTS:
        assert name in rewards, name


class TestWorkedRewards:
    rows = table("Worked rewards")
    market: Prices = prices([1.0, *map(number, rows["close"])], [1.0, *map(number, rows["open"])])
    actions = tuple(int(number(level)) + 1 for level in rows["level chosen"])

    def config(self, reward: RewardConfig) -> EnvConfig:
        return EnvConfig(position_levels=(-1.0, 0.0, 1.0), spread_bp=0.0, execution="next_open", reward=reward)

    def test_every_term_has_its_row(self) -> None:
        assert set(flags_of_the_document()) < set(self.rows)
        assert len(self.rows["bar"]) == len(self.actions) == 7

    def test_equity(self) -> None:
        c = self.config(RewardConfig())
        assert [shown(x) for x in series(one_account(self.market, c, self.actions).outcome.equity)] == self.rows["E'"]
        assert [shown(r.equity) for r in plain_walk(self.market, c, 0, self.actions)] == self.rows["E'"]

    @pytest.mark.parametrize("name", flags_of_the_document())
    def test_each_term(self, name: str) -> None:
        flag = flags_of_the_document()[name]
        reward = RewardConfig(**{n: n == flag for n in FLAGS}, max_holding_time_steps=2)
        outcome = one_account(self.market, self.config(reward), self.actions).outcome
        assert [shown(x) for x in series(RewardFunction([reward], CPU)(outcome))] == self.rows[name]
        walked = plain_walk(self.market, self.config(reward), 0, self.actions)
        assert [list(r.rewards) for r in walked] == [["pnl" if name == "P&L" else name]] * 7
        assert [shown(r.reward) for r in walked] == self.rows[name]

    def test_the_sum_under_the_base_multiplier(self) -> None:
        reward = all_terms(max_holding_time_steps=2, base_multiplier=0.5)
        outcome = one_account(self.market, self.config(reward), self.actions).outcome
        fourth = series(RewardFunction([reward], CPU)(outcome))[3]
        told = re.search(r"`base_multiplier` 0\.5, bar 4 gives (−?[\d.]+)\.\n", section("Worked rewards"))
        assert told is not None
        assert shown(fourth) == told[1]
        # P&L whole, of the others half: the column of bar 4.
        column = {name: number(cells[3]) for name, cells in self.rows.items() if name in flags_of_the_document()}
        assert fourth == pytest.approx(column.pop("P&L") + 0.5 * sum(column.values()), abs=4e-4)


class TestWorkedExampleWithEverything:
    text = section("Worked example with everything")
    config = EnvConfig(
        position_levels=(-1.0, 0.0, 0.5, 1.0),
        leverage=20.0,
        commission_bp=0.5,
        slippage_bp=0.5,
        financing=FinancingConfig(long_bp_per_day=0.8),
        maintenance_margin=0.03,
        execution="next_open",
        early_stop_loss_threshold=0.5,
        max_drawdown=0.5,
    )

    def market(self) -> Prices:
        """From the table of bids and asks."""
        found = re.findall(r"\| \d, \w+ \| (\d) \| ([\d.]+) / ([\d.]+) \| ([\d.]+) / ([\d.]+) \|", self.text)
        days, quotes = [1.0], [(1.1, 1.1, 1.1, 1.1)]
        for line in found:
            days.append(float(line[0]))
            quotes.append(tuple(map(float, line[1:])))  # type: ignore[arg-type]
        assert len(days) == 3

        def mid(pairs: list[tuple[float, float]]) -> list[float]:
            return [(bid + ask) / 2 for bid, ask in pairs]

        def spread(pairs: list[tuple[float, float]]) -> list[float]:
            return [(ask - bid) / ((bid + ask) / 2) * 1e4 for bid, ask in pairs]

        opens, closes = [q[:2] for q in quotes], [q[2:] for q in quotes]
        return prices(mid(closes), mid(opens), days, spread_open_bp=spread(opens), spread_close_bp=spread(closes))

    def test_every_number(self) -> None:
        first, second = plain_walk(self.market(), self.config, 0, [2, 3])
        units = second.units - first.units
        for value in (
            first.units,
            first.fill_cost,
            first.equity,
            0.03 * first.notional,
            second.financing,
            second.equity_at_fill,
            second.units,
            second.fill_cost,
            second.marked,
            0.03 * second.notional,
            second.close_cost,
            second.equity,
        ):
            assert re.search(rf"(?<![\d,.]){re.escape(shown(value))}(?![\d,]|\.\d)", self.text), shown(value)
        assert shown(units) in self.text
        assert f"{1 - second.marked / second.peak:.4f}" in self.text
        assert f"{shown(100 * second.closed[0].gain)}%" in self.text
        assert second.margin_call
        assert second.terminated
        market = self.market()
        assert market.spread_open_bp is not None
        assert market.spread_close_bp is not None
        for spread in (market.spread_open_bp[1, 0], market.spread_open_bp[2, 0], market.spread_close_bp[2, 0]):
            assert f"{spread:.6f}" in self.text
            assert f"{spread / 2 + 1:.6f}" in self.text

    def test_it_is_the_margin_that_stops(self) -> None:
        w = one_account(self.market(), self.config, [2, 3])
        assert series(w.outcome.terminated) == [0.0, 1.0]
        assert shown(series(w.outcome.equity)[1]) == "5,620.1315"
        free = self.config.model_copy(update={"maintenance_margin": 0.0})
        assert series(one_account(self.market(), free, [2, 3]).outcome.terminated) == [0.0, 0.0]


class TestYourOwnTerm:
    text = section("Your own term")

    def blocks(self, language: str) -> str:
        (found,) = re.findall(rf"```{language}\n(.*?)```", self.text, flags=re.DOTALL)
        return str(found)

    def config(self, folder: Path) -> EnvConfig:
        """The file and the settings, exactly as they are printed."""
        (folder / "rewards").mkdir()
        (folder / "rewards" / "turnover.py").write_text(self.blocks("python"), encoding="utf-8")
        document = yaml_strict.loads("data: {source: ecb}\n" + self.blocks("yaml"), "f.yaml")
        data: dict[str, Any] = document.data
        data["env"] |= {"execution": "next_close", "position_levels": [-1.0, 0.0, 1.0], "spread_bp": 0.0}
        return validate(data, where=document.where).env

    def test_it_pays_what_is_printed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        c = self.config(tmp_path)
        assert "−0.1 · (1 − 0.5) = −0.05. A reversal trades 2: −0.15." in self.text
        outcome = one_account(prices([1.0] * 4), c, [2, 0, 0]).outcome
        assert series(outcome.traded) == [1.0, 2.0, 0.0]
        assert series(RewardFunction([c.reward], CPU)(outcome)) == pytest.approx([-0.05, -0.15, 0.0], rel=1e-12)

    def test_it_lists_every_entry_of_the_outcome(self) -> None:
        listed = self.text.split("- `outcome` is", 1)[1].split("- `coefficients`", 1)[0]
        assert re.findall(r"`(\w+)`", listed) == [f.name for f in fields(Outcome)]

    def test_it_counts_beside_the_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        c = self.config(tmp_path).reward.model_copy(update={"enable_base_multiplier": True, "base_multiplier": 2.0})
        outcome = one_account(prices([1.0, 1.0, 1.5]), self.config_of(c), [2, 2]).outcome
        # 2 · −0.05 when it opens, then 50% of P&L, which the multiplier leaves alone.
        got = RewardFunction([c], CPU)(outcome)
        assert series(got) == pytest.approx([-0.1, 50.0], rel=1e-12)
        assert got.dtype == torch.float64

    def config_of(self, reward: RewardConfig) -> EnvConfig:
        return EnvConfig(position_levels=(-1.0, 0.0, 1.0), spread_bp=0.0, reward=reward)
