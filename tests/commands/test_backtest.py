"""`backtest` from the command line: the page, the list of trades, another file of bars, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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
from fxai.market.trained_on import trained_on

HOURS = 1500


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def agent(tmp_path: Path) -> TrialConfig:
    """A config of one hourly file, and untrained weights that trade: `a.csv`, `c.yaml`, `w.safetensors`."""
    ar1_bars(HOURS, 0.1).to_csv(tmp_path / "a.csv")
    return made(tmp_path)


def made(folder: Path, **sections: dict[str, Any]) -> TrialConfig:
    data = {"source": "file", "path": "a.csv", "instruments": ["EURUSD"], "timezone": "UTC"}
    config = small_config(data=data, **sections)
    (folder / "c.yaml").write_text(yaml_strict.dump(config.model_dump(mode="json")), encoding="utf-8")
    for seed in (1, 2):
        market = load_market(config.bars, parts=("validation",))
        part = market.parts[0]
        policy = Policy(
            config.model,
            n_features=part.features_NF.shape[1],
            n_account=len(ACCOUNT_FEATURES),
            n_actions=5,
            generators=[torch.Generator().manual_seed(seed)],
            device=torch.device("cpu"),
        )
        policy.weights_PN.mul_(4.0)
        meaning = {"levels": config.env.position_levels, "trained_on": trained_on(market)}
        save_weights(folder / f"w{seed}", policy, 0, feature_names=part.feature_names, **meaning)
    return config


def grown(tmp_path: Path, hours: int) -> None:
    """The config's file, now of another length, its common bars the same."""
    ar1_bars(max(hours, HOURS), 0.1).iloc[:hours].to_csv(tmp_path / "a.csv")


def one_line(text: str) -> str:
    return " ".join(text.split())


def backtest(*words: str) -> int:
    return cli.main(["backtest", "--config", "c.yaml", "--weights", "w1", *words])


def test_the_page_stands_beside_the_weights_and_the_list_is_complete(agent, tmp_path, capsys):
    assert backtest("--csv", "out/trades.csv") == 0
    said = one_line(capsys.readouterr().out)
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    trades = pd.read_csv(tmp_path / "out" / "trades.csv")
    assert len(trades) > 5
    assert f"wrote out/trades.csv: {len(trades)} trades" in said
    assert f"<span>trades</span><b>{len(trades)}</b>" in page
    assert set(trades["instrument"]) == {"EURUSD"}
    for text in (page, said):
        assert "Backtest on validation bars" in text
        assert "no evidence of an edge. The test bars stay sealed." in text
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
    assert not (tmp_path / "backtest_new.html").exists()

    assert backtest("--bars", "new.csv", "--from", "2000-03-06", "--csv", "t.csv") == 0
    said = capsys.readouterr().out
    assert "All of these bars are newer" in said
    page = (tmp_path / "backtest_new.html").read_text(encoding="utf-8")
    assert "<title>Backtest on new.csv</title>" in page
    assert pd.read_csv("t.csv")["entry_time"].min() >= "2000-03-06T00:00:00Z"


def test_the_sealed_test_is_opened_only_aloud(agent, tmp_path, capsys):
    assert backtest("--bars", "a.csv") == 2
    assert "--include-sealed opens it" in capsys.readouterr().err
    assert backtest("--bars", "a.csv", "--include-sealed") == 0
    said = " ".join(capsys.readouterr().out.split())
    page = (tmp_path / "backtest_a.html").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("name", ["EURUSD.", "eurusd"])
def test_another_name_for_the_same_prices_opens_no_seal(agent, tmp_path, capsys, name):
    # another broker's quotes: 2 bp higher
    bars = pd.read_csv(tmp_path / "a.csv", index_col=0)
    (bars * 1.0002).to_csv(tmp_path / "b.csv")
    assert backtest("--bars", "b.csv", "--instrument", name) == 2
    assert "lie in the time of the sealed test" in one_line(capsys.readouterr().err)
    assert backtest("--bars", "b.csv", "--instrument", name, "--include-sealed") == 0
    said = one_line(capsys.readouterr().out)
    assert f"{name} is the config's EURUSD: their closes at common times differ by at most 5 bp" in said
    assert "It is another instrument" not in said


def test_another_name_that_prices_cannot_tell_is_told(agent, tmp_path, capsys):
    # 40 common hours are fewer than 50: the config's file ends 40 hours after the other begins
    ar1_bars(HOURS, 0.1).iloc[HOURS - 400 :].to_csv(tmp_path / "b.csv")
    grown(tmp_path, HOURS - 360)
    assert backtest("--bars", "b.csv", "--instrument", "X") == 0
    said = one_line(capsys.readouterr().out)
    assert "Fewer than 50 bars have the time of one of the config's own, so it is unknown whether X is one" in said


def test_own_bars_that_are_gone_do_not_hide_what_the_weights_know(agent, tmp_path, capsys):
    newer(tmp_path)
    (tmp_path / "a.csv").unlink()
    assert backtest("--bars", "new.csv") == 2
    assert "new.csv: 28 of 328 bars lie in the time of the sealed test" in one_line(capsys.readouterr().err)
    assert backtest("--bars", "new.csv", "--instrument", "X") == 0
    page = (tmp_path / "backtest_new.html").read_text(encoding="utf-8")
    assert "so it is unknown whether X is one of its instruments by another name" in page


def test_a_file_that_has_grown_does_not_move_the_seal(tmp_path, capsys):
    # Of 1,200 hours the last part begins after 0.85 · 1,199 = 1,019.15: hours 1,020 to 1,199 are sealed. Of 1,500
    # hours validation begins after 0.7 · 1,499 = 1,049.3 and ends before 0.85 · 1,499 = 1,274.15. The warm-up is 8
    # bars: it trades in hours 1,058 to 1,274 less those purged, of which 1,199 − 1,057 = 142 are sealed
    grown(tmp_path, 1200)
    purged = made(tmp_path).bars.split.purge_bars
    grown(tmp_path, HOURS)
    many = 1274 - 1057 - purged
    assert backtest() == 2
    said = one_line(capsys.readouterr().err)
    # 1,020 hours are 42 days and 12 hours after 2000-01-03; 1,199 hours 49 days and 23 hours
    assert f"142 of {many} bars lie in the time of the sealed test, 2000-02-14 12:00:00 to 2000-02-21 23:00:00" in said
    assert "the config's bars have changed since the training" in said
    assert not (tmp_path / "backtest.html").exists()

    assert backtest("--include-sealed") == 0
    said = one_line(capsys.readouterr().out)
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    for text in (said, page.replace("&#x27;", "'")):
        assert "The config's bars are not those that this agent was trained with" in text
        assert (
            f"Of the {many} bars walked, 0 lie in the time of its training, 0 in that of the validation that chose it, "
            f"142 in that of its sealed test; {many - 142} are newer and 0 older."
        ) in text
        assert "no evidence of an edge" not in text
        assert "stay sealed" not in text


def test_a_file_that_has_shrunk_is_said_to_be_the_training(agent, tmp_path, capsys):
    # of 1,000 hours validation begins after 699.3 and ends before 849.15: all of it was training, which ended at 1,049
    grown(tmp_path, 1000)
    assert backtest() == 0
    said = one_line(capsys.readouterr().out)
    many = 849 - 707 - agent.bars.split.purge_bars
    assert f"{many} of {many} bars lie in the time that the agent was trained in" in said
    assert f"Of the {many} bars walked, {many} lie in the time of its training" in said
    assert "Backtest on the bars of the config as it is today" in said
    assert "no evidence of an edge" not in said


def test_a_default_of_other_bars_is_told(tmp_path, capsys):
    grown(tmp_path, 1000)
    made(tmp_path)
    (tmp_path / "w2").rename(tmp_path / "old")
    grown(tmp_path, HOURS)
    made(tmp_path)
    assert backtest("--default", "w2") == 0
    assert "The default was trained with other bars" not in one_line(capsys.readouterr().out)
    assert backtest("--default", "old") == 0
    # its bars end before the validation of these begins
    said = one_line(capsys.readouterr().out)
    assert "The default was trained with other bars than the agent." in said
    assert "0 in that of its sealed test" in said


def test_who_was_stopped_and_when_is_told(agent, tmp_path, capsys):
    config = made(tmp_path, env={"leverage": 20.0, "max_drawdown": 0.02, "early_stop_loss_threshold": 0.5})
    assert backtest() == 0
    said = one_line(capsys.readouterr().out)
    page = (tmp_path / "backtest.html").read_text(encoding="utf-8")
    assert re.search(r"Stopped: agent, at 2000-02-\d\d.* UTC, bar \d+ of \d+\.", said)
    assert "A stopped account holds nothing for the rest of the time" in said
    assert f"buy and hold ({config.env.leverage:g}×)" in page
    assert '<p class="warning">Stopped: agent, at 2000-02-' in page


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


def test_several_instruments_ask_which_the_file_holds(agent, tmp_path, capsys):
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


def test_weights_of_another_model_than_the_configs_are_refused(agent, tmp_path, capsys):
    config = small_config(data=made(tmp_path).bars.model_dump(mode="json"), model={"head_width": 16})
    (tmp_path / "c.yaml").write_text(yaml_strict.dump(config.model_dump(mode="json")), encoding="utf-8")
    assert backtest() == 2
    assert "trained with model.head_width 8; the config has 16" in one_line(capsys.readouterr().err)
