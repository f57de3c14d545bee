"""The page of a backtest: what it says, and that nothing in it can do harm."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from env.parts import make_part

from fxai.config import EnvConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.backtest import Backtest
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.ledger import COSTS
from fxai.report.backtest import SHOWN, write_backtest_page
from fxai.report.figure import plotly_js

CPU = torch.device("cpu")


def backtest_of(lengths: tuple[int, ...] = (300, 250), names: tuple[str, ...] = (), **env: Any) -> Backtest:
    """An agent that changes its level every seven bars, beside one that never trades."""
    part = make_part(lengths, own_spreads=True)
    part = replace(part, instruments=names or part.instruments)
    financing = {"long_bp_per_day": 3.0, "short_bp_per_day": 1.0}
    config = EnvConfig.model_validate(
        {"commission_bp": 1.0, "slippage_bp": 0.5, "financing": financing, "max_drawdown": 1.0, **env}
    )
    walking, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    first = part.offsets_I[:-1] + 9
    paths: dict[str, list[Any]] = {"agent": [], "do nothing": []}
    for row, end in zip(first, part.offsets_I[1:], strict=True):
        steps = int(end - row - 1)
        busy, idle = np.arange(steps) // 7 * 3 % 5, np.full(steps, 2)
        for name, tape in (("agent", busy), ("do nothing", idle)):
            run = run_tape(walking, torch.tensor([row]), torch.as_tensor(tape[None]), reward)
            paths[name].append(run)
    return Backtest(part=part, env=config, first_I=first, paths=paths, bars_per_year=6000.0)


def page_of(tmp_path: Path, run: Backtest, **said: Any) -> str:
    """The page without the plotly.js inside it."""
    path = write_backtest_page(tmp_path / "b.html", run, title=said.pop("title", "Backtest"), **said)
    text = path.read_text(encoding="utf-8")
    assert plotly_js() in text
    return text.replace(plotly_js(), "")


def table_after(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    below = text.partition(f"<h2>{heading}</h2>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", below.partition("</table>")[0], re.S)
    return [re.findall(r"<t[hd][^>]*>(?:<b>)?(.*?)(?:</b>)?</t[hd]>", row) for row in rows]


def test_the_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    text = page_of(tmp_path, backtest_of(), notes=["Validation part."], warnings=["Sealed no more."])
    assert [file.name for file in tmp_path.iterdir()] == ["b.html"]
    assert not re.search(r"<script[^>]* src=|<link|@import|url\(|https?:", text)
    assert "default-src 'none'; script-src 'nonce-" in text
    assert "<p>Validation part.</p>" in text
    assert '<p class="warning">Sealed no more.</p>' in text
    assert "prefers-color-scheme: dark" in text


def test_costs_on_the_page_sum_to_the_metric(tmp_path: Path) -> None:
    run = backtest_of()
    rows = table_after(page_of(tmp_path, run), "Costs")
    assert [row[0] for row in rows] == ["costs", *COSTS, "together"]
    agent = [float(row[1].removesuffix("%")) for row in rows[1:]]
    assert all(abs(cost) > 0.005 for name, cost in zip(COSTS, agent, strict=False) if name != "liquidation")
    # each cell is rounded to a thousandth of a per cent, so five of them by at most 0.0025
    assert sum(agent[:-1]) == pytest.approx(agent[-1], abs=0.0026)
    assert agent[-1] == pytest.approx(100 * run.metrics("agent")["costs"], abs=0.0006)
    assert {row[2] for row in rows[1:]} == {"0.000%"}


def test_tables_hold_every_metric_and_trade(tmp_path: Path) -> None:
    run = backtest_of()
    text = page_of(tmp_path, run)
    metrics = table_after(text, "Metrics")
    assert metrics[0] == ["metric", "agent", "do nothing"]
    assert tuple(row[0] for row in metrics[1:]) == SHOWN
    each = table_after(text, "The agent, instrument by instrument")
    assert each[0] == ["metric", "PAIR0", "PAIR1"]
    trades = table_after(text, "What the trades came to")
    counted = [int(cell) for cell in trades[1][1:]]
    # n_trades counts entries, the table what was entered: the same, and longs and shorts make all
    assert counted[0] == counted[1] + counted[2] == run.metrics("agent")["n_trades"]
    assert "open at end" in text


def test_the_months_are_those_of_the_agents_curve(tmp_path: Path) -> None:
    run = backtest_of()
    rows = table_after(page_of(tmp_path, run), "Returns by month")
    _, equity = run.portfolio("agent")
    # one year: its total is the whole return
    assert [row[0] for row in rows] == ["%", "1970"]
    assert float(rows[1][-1]) == pytest.approx(100 * (equity[-1] - 1), abs=0.0051)


def test_one_instrument_has_no_selector_and_several_have_one(tmp_path: Path) -> None:
    one, two = page_of(tmp_path, backtest_of((300,))), page_of(tmp_path, backtest_of())
    assert "<select" not in one
    assert "instrument by instrument" not in one
    assert "<option>PAIR0</option><option>PAIR1</option>" in two


def test_an_agent_that_never_trades_has_a_page(tmp_path: Path) -> None:
    run = backtest_of((300,))
    idle = replace(run, paths={"agent": run.paths["do nothing"]})
    text = page_of(tmp_path, idle)
    assert "No trade was opened." in text
    assert {cell for row in table_after(text, "What the trades came to")[1:] for cell in row[1:]} == {"–"}


def test_a_stopped_account_has_a_page(tmp_path: Path) -> None:
    text = page_of(tmp_path, backtest_of((300,), max_drawdown=0.02))
    assert "stop 1" in text
    assert float(table_after(text, "Costs")[5][1].removesuffix("%")) > 0


def test_a_cost_beyond_what_the_metric_tells_is_no_figure(tmp_path: Path) -> None:
    run = backtest_of((300,))
    # 1,000 times the capital paid for spreads; the metric is cut at 100 times
    rich = replace(run.paths["agent"][0], cost_ET=run.paths["agent"][0].cost_ET + 1e7)
    huge = HugeCosts(**{f.name: getattr(run, f.name) for f in fields(Backtest)} | {"paths": {"agent": [rich]}})
    text = page_of(tmp_path, huge)
    rows = {row[0]: row[1] for row in table_after(text, "Costs")}
    assert (rows["spread"], rows["together"]) == ("&gt; 10,000%", "&gt; 10,000%")
    assert rows["commission"] == "50.000%"
    assert "<span>costs, of the capital</span><b>&gt; 10,000%</b>" in text
    assert {row[0]: row[1] for row in table_after(text, "Metrics")}["costs"] == "&gt; 10,000%"


class HugeCosts(Backtest):
    """An account that paid 1,000 times its capital for spreads and half of it for commission."""

    def cost_shares(self, name: str) -> dict[str, float]:
        return dict.fromkeys(COSTS, 0.0) | {"spread": 1000.0, "commission": 0.5}


def test_who_was_stopped_is_on_the_page(tmp_path: Path) -> None:
    run = backtest_of((300,), max_drawdown=0.02)
    (stop,) = run.stops("agent")
    text = page_of(tmp_path, run)
    # 300 bars, of which the first 10 are the warm-up: 290 steps
    assert f"UTC, bar {stop.bar} of 290." in text
    assert '<p class="warning">Stopped: agent, at 1970-01-' in text
    assert "A stopped account holds nothing for the rest of the time" in text
    rows = {row[0]: row[1:] for row in table_after(text, "Metrics")}
    assert rows["stopped"] == [f"bar {stop.bar}", "no"]


def test_stops_of_several_accounts_are_counted(tmp_path: Path) -> None:
    run = backtest_of(max_drawdown=0.02)
    text = page_of(tmp_path, run)
    assert "Stopped: agent in 2 of 2 accounts, PAIR0 at " in text
    assert {row[0]: row[1:] for row in table_after(text, "Metrics")}["stopped"] == ["2 of 2", "no"]
    each = {row[0]: row[1:] for row in table_after(text, "The agent, instrument by instrument")}
    assert each["stopped"] == [f"bar {stop.bar}" for stop in run.stops("agent")]


def test_no_stop_no_word_of_it(tmp_path: Path) -> None:
    text = page_of(tmp_path, backtest_of((300,)))
    assert "Stopped: " not in text
    assert {row[0]: row[1:] for row in table_after(text, "Metrics")}["stopped"] == ["no", "no"]


@pytest.mark.parametrize(
    ("env", "heading"),
    [
        ({}, "buy and hold"),
        ({"leverage": 5.0}, "buy and hold (5×)"),
        ({"position_levels": [-1.0, -0.5, 0.0, 0.25, 0.5]}, "buy and hold (0.5×)"),
        ({"leverage": 2.0, "position_levels": [-1.0, -0.5, 0.0, 0.25, 0.5]}, "buy and hold"),
    ],
)
def test_buy_and_hold_tells_its_leverage(tmp_path: Path, env: dict[str, Any], heading: str) -> None:
    run = backtest_of((300,), **env)
    run = replace(run, paths={"agent": run.paths["agent"], "buy and hold": run.paths["do nothing"]})
    text = page_of(tmp_path, run)
    for title in ("Metrics", "Costs"):
        assert table_after(text, title)[0][2] == heading
    assert f"beside it: {heading} 0.00%" in text


def test_random_is_told_as_what_it_is(tmp_path: Path) -> None:
    run = backtest_of((300,))
    busy, idle = run.paths["agent"], run.paths["do nothing"]
    run = replace(run, paths={"agent": busy, "random": idle}, draws=[busy, idle, idle])
    text = page_of(tmp_path, run)
    rows = {row[0]: row[1:] for row in table_after(text, "Metrics")}
    # the means of one that trades as the agent does and two that do not trade
    assert float(rows["n_trades"][1]) == pytest.approx(run.metrics("agent")["n_trades"] / 3, abs=0.05)
    assert rows["stopped"] == ["no", "no"]
    assert "the numbers are means of 3 random traders, a curve is the one whose total return is the median" in text
    assert "They are to have the agent&#x27;s turnover, not its exposure." in text
    assert "2 of the 3 random traders never trade" in text
    assert "random (the median)" in text


def test_a_hindsight_that_was_stopped_is_no_ceiling(tmp_path: Path) -> None:
    run = backtest_of((300,))
    run = replace(run, paths=run.paths | {"hindsight": run.paths["agent"]})
    said = "Stops and margin calls are not searched over"
    assert said not in page_of(tmp_path, run)
    assert said in page_of(tmp_path, replace(run, hindsight_cut=True))


def test_hostile_names_make_no_tags(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    run = backtest_of(names=(hostile, "B"))
    text = page_of(tmp_path, run, title=hostile, notes=[hostile], warnings=[hostile])
    assert "<script>alert" not in text
    assert "<img" not in text
    assert text.count("</script>") == 3  # plotly.js, the curves, the trades


def test_portfolio_exposure_is_the_mean_of_the_accounts() -> None:
    run = backtest_of()
    times, net, gross = run.exposure("agent")
    assert len(times) == len(net) == len(gross)
    assert (np.abs(net) <= gross + 1e-12).all()
    # at the first bar after the first decision: each account's own
    own = [paths.exposure_ET[0, 0] for paths in run.paths["agent"]]
    assert net[1] == pytest.approx(np.mean(own))
    assert gross[1] == pytest.approx(np.mean(np.abs(own)))
