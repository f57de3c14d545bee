"""`confirm`: what it refuses, what it leaves alone, and that an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from chained import BEST_OF_SMALL, GAMMA, RATE, fill, spec_of, write_specs

from fxai import cli
from fxai.study.confirm import load_confirmation

HERE = ("--storage", "sqlite:///chain.db", "--results-dir", "results")


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return spec_of(write_specs(tmp_path), 1)


def data_hash(spec) -> str:
    from fxai.market.data import load_market

    return load_market(spec.ruler.bars, min_bars=72).data_hash


def test_the_best_is_trained_beside_the_default(spec, capsys):
    fill(spec, [(3.0, BEST_OF_SMALL), (-5.0, {RATE: 0.001, GAMMA: 0.9})], data_hash=data_hash(spec))
    assert cli.main(["plots", "one", *HERE]) == 0
    page = Path("results/one/report.html")
    assert "Trained again" not in page.read_text()
    assert cli.main(["confirm", "one", "--seeds", "2", *HERE]) == 0
    out, err = capsys.readouterr()
    assert "Trained again on 2 fresh seeds" in page.read_text()
    told = load_confirmation(Path("results/one"))
    assert (told.trial, told.own_value, len(told.default), len(told.best)) == (1, 3.0, 2, 2)
    assert told.default != told.best
    assert told.metrics["best"]["mean_reward"] == told.best
    assert "The study chose trial 1 for 3" in out
    assert "default: update 2 of 2" in err
    assert "best: update 2 of 2" in err


def test_an_interruption_leaves_the_last_confirmation(spec, monkeypatch, capsys):
    fill(spec, [(3.0, BEST_OF_SMALL)], data_hash=data_hash(spec))
    Path("results/one").mkdir(parents=True)
    Path("results/one/confirmation.json").write_text("the last one")

    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("fxai.commands.confirm.retrain", interrupted)
    assert cli.main(["confirm", "one", *HERE]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in Path("results/one").iterdir()] == ["confirmation.json"]
    assert Path("results/one/confirmation.json").read_text() == "the last one"


def test_a_default_that_is_best_needs_no_confirmation(spec, capsys):
    fill(spec, [(3.0, {RATE: 0.0003, GAMMA: 0.95})])  # SMALL has the settings' defaults
    assert cli.main(["confirm", "one", *HERE]) == 0
    assert "no trial of one beat the default config" in capsys.readouterr().err
    assert not Path("results/one/confirmation.json").exists()


def test_other_bars_are_refused(spec, capsys):
    fill(spec, [(3.0, BEST_OF_SMALL)], data_hash="yesterday's")
    assert cli.main(["confirm", "one", *HERE]) == 2
    assert "the bars are not those that study one was run with" in capsys.readouterr().err


def test_a_study_without_a_completed_trial_is_refused(spec, capsys):
    fill(spec, [])
    assert cli.main(["confirm", "one", *HERE]) == 2
    assert "study one has no completed trial to confirm" in capsys.readouterr().err


@pytest.mark.parametrize("seeds", ["1", "0", "-3", "x"])
def test_one_seed_has_no_spread(spec, seeds, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["confirm", "one", f"--seeds={seeds}", *HERE])
    assert caught.value.code == 2
    assert "at least 2" in capsys.readouterr().err
