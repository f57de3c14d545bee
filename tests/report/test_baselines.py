"""The file of baselines, and what is said and shown of the best trial beside them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, create_trial

from fxai.report.baselines import BASELINES, load_baselines, turnover_of, verdicts, write_baselines
from fxai.report.outcome import outcome_of
from fxai.report.results import load_best_params, write_results
from fxai.report.summary import print_best, print_summary
from fxai.report.terminal import make_console
from fxai.study.spec import StudySpec

AddTrial = Callable[..., FrozenTrial]

METRICS = {
    "do nothing": {"mean_reward": 0.0, "total_return": 0.0, "sharpe": 0.0, "n_trades": 0.0},
    "buy and hold": {"mean_reward": 0.2, "total_return": 0.002, "sharpe": 0.1, "n_trades": 28.0},
    "random": {"mean_reward": -0.4, "total_return": -0.004, "sharpe": -0.2, "n_trades": 31.5},
    "hindsight": {"mean_reward": 90.0, "total_return": 1.56, "sharpe": 17.0, "n_trades": 3504.0},
}


def written(
    study: optuna.Study, spec: StudySpec, folder: Path, *, idle: int = 0, cut: int = 0, **changes: dict[str, float]
) -> list[str]:
    """Write baselines, and what the best trial is told beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome = outcome_of(study, spec.metric_names)
    write_baselines(study, spec, folder, outcome, {**METRICS, **changes}, traders=20, idle=idle, cut=cut)
    return verdicts(outcome, load_baselines(study, spec, folder))


def test_the_file_tells_whose_turnover_the_random_traders_have(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(0.1, metrics={"turnover": 0.5, "n_trades": 9.0})
    add(0.3, metrics={"turnover": 0.0618, "n_trades": 9.0})
    written(study, spec, tmp_path)
    told = load_baselines(study, spec, tmp_path)
    assert told is not None
    assert (told.trial, told.turnover) == (1, 0.0618)
    assert told.metrics == METRICS
    assert list(told.metrics) == ["do nothing", "buy and hold", "random", "hindsight"]


def test_without_a_best_trial_there_is_no_turnover(study: optuna.Study, spec: StudySpec) -> None:
    assert turnover_of(outcome_of(study, spec.metric_names)) == 0.0


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: {**d, "study": "another"},
        lambda d: {**d, "spec_hash": "0"},
        lambda d: {**d, "data_hash": "other bars"},
        lambda d: {**d, "format": 1},
        lambda d: {**d, "metrics": {"random": {"sharpe": "a lot"}}},
        lambda d: {key: d[key] for key in list(d)[:-1]},
    ],
    ids=["study", "spec", "data", "format", "text", "missing"],
)
def test_a_file_of_something_else_is_none(
    finished: optuna.Study, spec: StudySpec, tmp_path: Path, damage: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    written(finished, spec, tmp_path)
    file = tmp_path / BASELINES
    file.write_text(json.dumps(damage(json.loads(file.read_text(encoding="utf-8")))), encoding="utf-8")
    assert load_baselines(finished, spec, tmp_path) is None
    for bad in (b"", b"{", b"\xff\xfe", b"null", b'{"metrics": {"random": {"sharpe": NaN}}}'):
        file.write_bytes(bad)
        assert load_baselines(finished, spec, tmp_path) is None


def test_a_best_trial_that_beats_all_is_told_its_share_of_the_ceiling(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    # 0.0312 of 1.56 is 2%
    add(0.3, metrics={"mean_reward": 0.3, "total_return": 0.0312, "n_trades": 60.0})
    assert written(study, spec, tmp_path) == [
        "With every price known in advance 156.00% an episode could be earned under these costs; "
        "the best trial got 2% of it."
    ]


def test_where_stops_cut_hindsight_there_is_no_share_of_a_ceiling(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(0.3, metrics={"mean_reward": 0.3, "total_return": 0.0312, "n_trades": 60.0})
    assert written(study, spec, tmp_path, cut=3) == [
        "With every price known in advance at least 156.00% an episode could be earned under these costs: stops and "
        "margin calls are not searched over, and in 3 of the episodes the best tape without them is stopped."
    ]


def test_random_traders_that_hardly_trade_are_told(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(0.3, metrics={"mean_reward": 0.3, "total_return": 0.0312, "n_trades": 60.0})
    assert len(written(study, spec, tmp_path, idle=9)) == 1
    assert written(study, spec, tmp_path, idle=10)[0].startswith(
        "The best trial trades so little that 10 of 20 random traders of its turnover never trade"
    )


def test_a_best_trial_that_loses_to_baselines_is_told_so(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(-0.1, metrics={"mean_reward": -0.1, "total_return": -0.001, "n_trades": 60.0})
    worse, beaten, ceiling = written(study, spec, tmp_path, random={"mean_reward": -0.1})
    assert worse == "The best trial is worse than doing nothing: mean_reward -0.1 against 0."
    # an equal one is not beaten
    assert beaten == "The best trial (mean_reward -0.1) does not beat buy and hold (0.2) and random (-0.1)."
    assert ceiling.endswith("the best trial got none of it.")


def test_one_that_earns_nothing_by_trading_is_no_better_than_nothing(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(0.0, metrics={"mean_reward": 0.0, "total_return": 0.0, "n_trades": 60.0})
    assert written(study, spec, tmp_path)[0].startswith("The best trial is no better than doing nothing")


def test_one_that_does_nothing_is_held_against_nothing(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(0.0, metrics={"mean_reward": 0.0, "total_return": 0.0, "n_trades": 0.0})
    assert written(study, spec, tmp_path) == []
    write_results(study, spec, tmp_path)
    note = load_best_params(tmp_path).note
    assert "nothing that this study tried did better in mean_reward than doing nothing" in note


def test_a_metric_that_is_not_earned_is_judged_by_the_total_return(
    spec: StudySpec, add: AddTrial, study: optuna.Study, tmp_path: Path
) -> None:
    # the least turnover is no turnover: that do-nothing has less of it says nothing
    least = spec.model_copy(update={"metric_names": ("turnover",), "directions": ("minimize",)})
    other = optuna.create_study(direction="minimize")
    add(0.1, metrics={"turnover": 0.1, "total_return": 0.001, "n_trades": 30.0})
    other.add_trial(study.trials[0])
    said = written(other, least, tmp_path)
    assert said[0] == "The best trial (total_return 0.10%) does not beat buy and hold (0.20%)."


def test_a_study_without_trading_metrics_is_not_judged(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    add(480.0, metrics={"mean_reward": 480.0, "mean_episode_length": 480.0})
    write_results(study, spec, tmp_path)
    text = shown(study, spec, tmp_path)
    assert ["mean_reward", "480", "480"] in [line.split() for line in text.splitlines()]
    assert "makes no trade" not in text
    assert "hindsight" not in text


def shown(study: optuna.Study, spec: StudySpec, folder: Path, width: int = 80, *, whole: bool = False) -> str:
    out = io.StringIO()
    console = make_console(out, width=width)
    print_summary(study, spec, folder, [], console=console) if whole else print_best(
        study, spec, folder, console=console
    )
    return out.getvalue()


def test_baselines_stand_beside_best_and_default(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    written(finished, spec, tmp_path)
    for whole in (True, False):
        text = shown(finished, spec, tmp_path, whole=whole)
        rows = [line.split() for line in text.splitlines()]
        assert ["on", "validation", "best", "default", "nothing", "hold", "random", "hindsight"] in rows
        assert ["mean_reward", "0.3", "0.1", "0", "0.2", "-0.4", "90"] in rows
        assert ["n_trades", "60", "40", "0", "28", "31.5", "3504"] in rows
        table = text[: text.index("With every price")]
        assert max(map(len, table.splitlines())) <= 80
        assert "got 2% of it" in text


def test_on_a_narrow_terminal_baselines_have_a_table_of_their_own(
    finished: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    written(finished, spec, tmp_path)
    rows = [line.split() for line in shown(finished, spec, tmp_path, width=60).splitlines()]
    assert ["mean_reward", "0.3", "0.1"] in rows
    assert ["mean_reward", "0", "0.2", "-0.4", "90"] in rows


def test_notes_of_all_files_have_the_sentences(finished: optuna.Study, spec: StudySpec, tmp_path: Path) -> None:
    written(finished, spec, tmp_path)
    write_results(finished, spec, tmp_path)
    sentence = "the best trial got 2% of it"
    assert sentence in load_best_params(tmp_path).note
    assert sentence in json.loads((tmp_path / "fx_ai_quick_results.json").read_text(encoding="utf-8"))["note"]
    header = (tmp_path / "fx_ai_quick_best_config.yaml").read_text(encoding="utf-8")
    assert sentence in " ".join(header.replace("# ", "").split())


def test_baselines_go_when_there_is_no_best_trial_any_more(
    finished: optuna.Study, study: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    written(finished, spec, tmp_path)
    write_results(optuna.create_study(direction="maximize"), spec, tmp_path)
    assert not (tmp_path / BASELINES).exists()


def test_metrics_of_each_instrument_are_shown_and_kept(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path
) -> None:
    each = {
        "EURUSD": {"mean_reward": 0.5, "total_return": 0.005, "sharpe": 0.9, "max_drawdown": 0.04, "n_trades": 58.0},
        "USDJPY": {"mean_reward": 0.1, "total_return": 0.001, "sharpe": None, "max_drawdown": 0.05, "n_trades": 2.0},
    }
    add(0.3, metrics={"mean_reward": 0.3, "n_trades": 60.0}, user_attrs={"instruments": each})
    write_results(study, spec, tmp_path)
    results = json.loads((tmp_path / "fx_ai_quick_results.json").read_text(encoding="utf-8"))
    assert results["trials"][0]["instruments"] == each
    rows = [line.split() for line in shown(study, spec, tmp_path).splitlines()]
    assert ["EURUSD", "0.5", "0.50%", "0.9", "4.00%", "58"] in rows
    assert ["USDJPY", "0.1", "0.10%", "–", "5.00%", "2"] in rows
    narrow = [line.split() for line in shown(study, spec, tmp_path, width=50).splitlines()]
    assert ["EURUSD", "0.5", "0.50%", "0.9"] in narrow


def test_two_objectives_are_judged_by_the_first(two_objectives: StudySpec, tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(values=(0.05, 0.1), user_attrs={"metrics": {"n_trades": 30.0, "total_return": 0.01}}))
    said = written(study, two_objectives, tmp_path)
    assert said[0] == "The best trial (sharpe 0.05) does not beat buy and hold (0.1)."
