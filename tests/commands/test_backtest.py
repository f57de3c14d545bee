"""`backtest` from the command line: the page, the list of trades, another file of bars, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from small import small_config

from fxai import cli, yaml_strict
from fxai.agent.checkpoint import save_weights
from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.trading import ACCOUNT_FEATURES
from fxai.market.data import load_market
from fxai.market.synthetic import ar1_bars

HOURS = 1500


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def agent(tmp_path: Path) -> TrialConfig:
    """A config of one hourly file, and untrained weights that trade: `a.csv`, `c.yaml`, `w.safetensors`."""
    ar1_bars(HOURS, 0.1).to_csv(tmp_path / "a.csv")
    return made(tmp_path)


def made(folder: Path) -> TrialConfig:
    config = small_config(data={"source": "file", "path": "a.csv", "instruments": ["EURUSD"], "timezone": "UTC"})
    (folder / "c.yaml").write_text(yaml_strict.dump(config.model_dump(mode="json")), encoding="utf-8")
    for seed in (1, 2):
        part = load_market(config.bars, parts=("validation",)).parts[0]
        policy = Policy(
            config.model,
            n_features=part.features_NF.shape[1],
            n_account=len(ACCOUNT_FEATURES),
            n_actions=5,
            generators=[torch.Generator().manual_seed(seed)],
            device=torch.device("cpu"),
        )
        policy.weights_PN.mul_(4.0)
        levels = config.env.position_levels
        save_weights(folder / f"w{seed}", policy, 0, feature_names=part.feature_names, levels=levels)
    return config


def backtest(*words: str) -> int:
    return cli.main(["backtest", "--config", "c.yaml", "--weights", "w1", *words])


def test_the_page_stands_beside_the_weights_and_the_list_is_complete(agent, tmp_path, capsys):
    assert backtest("--csv", "out/trades.csv") == 0
    said = capsys.readouterr().out
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    trades = pd.read_csv(tmp_path / "out" / "trades.csv")
    assert len(trades) > 5
    assert f"wrote out/trades.csv: {len(trades)} trades" in said
    assert f"<span>trades</span><b>{len(trades)}</b>" in page
    assert set(trades["instrument"]) == {"EURUSD"}
    assert "no evidence of an edge" in page
    assert "no evidence of an edge" in said
    # the trades' money is the account's: total return as the page has it, to its hundredth of a per cent
    total = 100 * trades["pnl"].sum() / agent.env.initial_capital
    assert f"<span>total return</span><b>{total:.2f}%</b>" in page


def test_the_default_agent_is_one_more_column(agent, tmp_path, capsys):
    assert backtest("--default", "w2", "--out", "both.html") == 0
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "<th>metric</th><th>agent</th><th>default</th><th>do nothing</th>" in page
    assert "The agent is w1, the default w2." in page
    capsys.readouterr()
    assert backtest("--out", "one.html") == 0
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert "<th>default</th>" not in page
    assert "poe train --config optuna_results/STUDY/ruler.yaml --out DIR" in page


def newer(tmp_path: Path, hours: int = 400, overlap: int = 100) -> None:
    """`new.csv`: bars that begin `overlap` hours before the end of the config's own."""
    start = pd.Timestamp("2000-01-03", tz="UTC") + pd.Timedelta(hours=HOURS - overlap)
    ar1_bars(hours, 0.1, seed=5, start=start.isoformat()[:19]).to_csv(tmp_path / "new.csv")


def test_newer_bars_are_walked_and_said_to_be_new(agent, tmp_path, capsys):
    # 100 hours overlap; features and warm-up take 64 + 8 − 1 = 71 of them, so the own end is seen first by 29 bars
    newer(tmp_path)
    assert backtest("--bars", "new.csv") == 2
    said = capsys.readouterr().err
    # the first of those 29 is where the first decision is made; 28 are traded in
    assert "new.csv: 28 of 328 bars lie in the time of the sealed test" in said
    # 1,500 hours from 2000-01-03 end on 2000-03-05 at 11:00
    assert "--from 2000-03-06 walks the newer bars only" in said
    assert not (tmp_path / "backtest.html").exists()

    assert backtest("--bars", "new.csv", "--from", "2000-03-06", "--csv", "t.csv") == 0
    said = capsys.readouterr().out
    assert "All of these bars are newer" in said
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    assert "<title>Backtest on new.csv</title>" in page
    assert pd.read_csv("t.csv")["entry_time"].min() >= "2000-03-06T00:00:00Z"


def test_the_sealed_test_is_opened_only_aloud(agent, tmp_path, capsys):
    assert backtest("--bars", "a.csv") == 2
    assert "--include-sealed opens it" in capsys.readouterr().err
    assert backtest("--bars", "a.csv", "--include-sealed") == 0
    said = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    for text in (said, page):
        assert "lie in the time of the sealed test" in text
        assert "is no longer tested by it" in text
        assert "lie in the time that the agent was trained in" in text
    assert '<p class="warning">' in page


def test_bars_before_the_test_need_no_permission(agent, tmp_path, capsys):
    assert backtest("--bars", "a.csv", "--to", "2000-02-10") == 0
    assert "sealed test" not in capsys.readouterr().out


def test_another_instrument_is_no_seal_but_a_note(agent, tmp_path, capsys):
    ar1_bars(HOURS, 0.1, seed=9).to_csv(tmp_path / "b.csv")
    assert backtest("--bars", "b.csv", "--instrument", "GBPUSD", "--csv", "t.csv") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "It is another instrument than the config's, in their time" in said
    assert set(pd.read_csv("t.csv")["instrument"]) == {"GBPUSD"}


def test_own_bars_that_are_gone_are_told(agent, tmp_path, capsys):
    newer(tmp_path)
    (tmp_path / "a.csv").unlink()
    assert backtest("--bars", "new.csv") == 0
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    assert "it is unknown whether these bars lie in the time" in page


def test_bars_are_read_as_the_config_says_or_as_set(agent, tmp_path, capsys):
    # naive stamps; a clock that shows 00:00 in New York in summer is 04:00 UTC
    bars = ar1_bars(400, 0.1, seed=5, start="2000-06-05")
    bars.index = bars.index.tz_localize(None)
    bars.to_csv(tmp_path / "n.csv")
    for words, begin in (([], "to"), (["--set", "data.timezone=America/New_York"], "04:00")):
        assert backtest("--bars", "n.csv", *words) == 0
        assert f"from 2000-06-05 {begin}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "2000-03-06"], "--from says how a file of bars is walked"),
        (["--include-sealed"], "--include-sealed says how"),
        (["--bars", "none.csv"], "none.csv: there is no such file"),
        (["--bars", "a.csv", "--set", "env.spread_bp=0"], "is no setting of data"),
        (["--bars", "a.csv", "--set", "data.timezone"], "is no setting of data"),
        (["--bars", "a.csv", "--set", "data.timezoen=UTC"], "data.timezoen: unknown key"),
        (["--bars", "a.csv", "--set", "data.sort=maybe"], "data.sort: must be true or false"),
        (["--csv", "."], "is a folder"),
        (["--out", "w1"], "w1: is read or written already"),
        (["--bars", "a.csv", "--csv", "./a.csv"], "a.csv: is read or written already"),
        (["--out", "x", "--csv", "x"], "x: is read or written already"),
        (["--default", "none"], "there is no such weights file"),
    ],
)
def test_a_mistake_is_one_error_and_nothing_is_written(agent, tmp_path, capsys, words, message):
    before = sorted(tmp_path.rglob("*"))
    assert backtest(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("day", ["2000-13-01", "yesterday", "01.02.2000"])
def test_a_day_that_is_none_is_refused(agent, capsys, day):
    with pytest.raises(SystemExit) as stopped:
        backtest("--bars", "a.csv", "--from", day)
    assert stopped.value.code == 2
    assert "must be a day of the calendar" in capsys.readouterr().err


def test_several_instruments_ask_which_the_file_holds(tmp_path, capsys):
    config = small_config()
    (tmp_path / "c.yaml").write_text(yaml_strict.dump(config.model_dump(mode="json")), encoding="utf-8")
    assert backtest("--bars", "a.csv") == 2
    said = capsys.readouterr().err
    assert "a.csv: which instrument does it hold? the config has EURUSD, USDJPY" in said
    assert "--instrument NAME" in said


def test_bars_of_other_features_are_refused(agent, tmp_path, capsys):
    ar1_bars(400, 0.1, start="2000-06-05").drop(columns=["high", "low"]).to_csv(tmp_path / "b.csv")
    assert backtest("--bars", "b.csv") == 2
    assert "this file lacks bar_range" in capsys.readouterr().err


def test_a_gymnasium_environment_has_nothing_to_backtest(capsys):
    config = Path(__file__).parents[2] / "config" / "base" / "cartpole.yaml"
    assert cli.main(["backtest", "--config", str(config), "--weights", "w1"]) == 2
    assert "env.gym_id CartPole-v1 has no bars, trades or costs to backtest" in capsys.readouterr().err
