"""What `results` says: one ruler or several, improvement with its spread, top parameters, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from report.databases import RULER, add_study, opened, recorded, url_of

from fxai.errors import InputError
from fxai.report import facts as facts_module
from fxai.report.facts import Facts, by_ruler, read_facts, ruler_differences
from fxai.report.insights import FORMAT, Importance, Insights, StudyState
from fxai.report.overview import print_results
from fxai.report.terminal import make_console
from fxai.study.confirm import FORMAT as CONFIRM_FORMAT
from fxai.study.confirm import Confirmation, compare, write_confirmation
from fxai.study.database.reader import reading

HOSTILE = "evil\x1b[31m<b>"


def other_ruler(**env: Any) -> dict[str, Any]:
    changed = deepcopy(RULER)
    changed["env"].update(env)
    return changed


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Three phases on one ruler, of which one trains longer; a study on another ruler, and one of another program."""
    path = tmp_path / "study.db"
    longer = deepcopy(RULER)
    longer["training"]["total_updates"] = 99
    longer["data"]["path"] = "moved.csv"  # the same bars elsewhere
    with opened(url_of(path), create=True) as storage:
        add_study(storage, "costly", [0.1, 0.4], spec=recorded("costly", ruler=other_ruler(spread_bp=2.0)))
        add_study(storage, "three", [0.3, 0.2], spec=recorded("three", phase=3))
        add_study(storage, "one", [0.1, 0.4], pruned=2, spec=recorded("one", phase=1))
        add_study(storage, "two", [0.2, 0.3], spec=recorded("two", phase=2, ruler=longer))
        add_study(storage, HOSTILE, [1.0])
        add_study(storage, "failed", spec=recorded("failed"), failed=2)
    return path


def read(database: Path, *names: str) -> list[Facts]:
    with reading(url_of(database)) as reader:
        return read_facts(reader, names, url_of(database), database.parent / "results")


def shown(database: Path, names: Sequence[str] = (), *, width: int = 100, every: bool = False) -> str:
    stream = io.StringIO()
    results = database.parent / "results"
    print_results(url_of(database), results, names, every=every, console=make_console(stream, width))
    return stream.getvalue()


def confirmation(**changes: Any) -> Confirmation:
    default, best = [0.0, 0.1, 0.2], [0.3, 0.4, 0.5]
    told = {
        "format": CONFIRM_FORMAT,
        "study": "one",
        "spec_hash": "s",
        "data_hash": "bars",
        "trial": 1,
        "own_value": 0.4,
        "seeds": [1, 2, 3],
        "metric": "mean_reward",
        "direction": "maximize",
        "default": default,
        "best": best,
        "metrics": {"default": {}, "best": {}},
        "min_trades": 10,
        "difference": compare(default, best, "maximize"),
        "method": "m",
        "created": "now",
    }
    return Confirmation.model_validate({**told, **changes})


def test_one_ruler_scores_what_trains_longer_or_from_another_file(database: Path) -> None:
    groups = by_ruler(read(database, "one", "costly", "two", HOSTILE))
    assert [[facts.name for facts in group] for group in groups] == [["one", "two"], ["costly"], [HOSTILE]]


def test_what_tells_rulers_apart_is_named(database: Path) -> None:
    one, costly, hostile = read(database, "one", "costly", HOSTILE)
    assert ruler_differences(one, costly) == ["env.spread_bp 2.0, not 1.0"]
    assert ruler_differences(one, hostile) == ["FxAI did not make it, and knows not what scored it"]
    costly.record.user_attrs["data_hash"] = "others"
    costly.spec["ruler"]["training"]["eval_episodes"] = 9
    assert ruler_differences(one, costly) == [
        "other bars",
        "env.spread_bp 2.0, not 1.0",
        "training.eval_episodes 9, not 8",
    ]


def test_the_facts_of_a_study(database: Path) -> None:
    [one] = read(database, "one")
    # 2 complete and 2 pruned of a minute each, one after the other
    assert (one.finished, one.pruning_rate, one.active_s, one.in_trials_s) == (4, 0.5, 240.0, 240.0)
    assert one.outcome.improvement == pytest.approx(0.3)
    assert one.best_settings == {"training.learning_rate": 0.001, "model.d_model": 64}
    assert one.settings["training.gamma"] == 0.9


def test_the_phases_are_shown_in_their_order_and_alone(database: Path) -> None:
    text = shown(database)
    rows = [line.split()[:2] for line in text.splitlines() if line.startswith(("one ", "two ", "three "))]
    assert rows == [["one", "1"], ["two", "2"], ["three", "3"]]
    assert "costly" not in text
    assert "Another ruler" not in text
    [one] = [line.split() for line in text.splitlines() if line.startswith("one ")]
    # 0.4 against 0.1; 2 of 4 pruned, a minute each
    assert one == ["one", "1", "0.4", "0.1", "+0.3", "4", "of", "4", "50%", "4m", "00s"]


def test_all_studies_and_named_ones(database: Path) -> None:
    text = shown(database, every=True)
    assert text.count("Another ruler than above") == 2
    assert "env.spread_bp 1.0, not 2.0" in text  # the costly one was made first
    assert "evil\\x1b[31m<b>" in text
    assert "\x1b" not in text
    named = shown(database, ["two", "costly", "two"])
    assert "three" not in named
    assert named.count("\ntwo\n") == 1


def test_without_phases_all_studies_are_shown_and_that_is_said(tmp_path: Path) -> None:
    with opened(url_of(tmp_path / "a.db"), create=True) as storage:
        add_study(storage, "alone", [0.1], spec=recorded("alone"))
    text = shown(tmp_path / "a.db")
    assert text.startswith("No phase has run; these are all studies of the database.")
    assert "no trial beat the default config" in text


def test_a_database_without_studies(tmp_path: Path) -> None:
    with opened(url_of(tmp_path / "a.db"), create=True):
        pass
    assert shown(tmp_path / "a.db") == "no studies\n"


def test_an_unknown_name_lists_those_that_exist(database: Path) -> None:
    with pytest.raises(InputError, match="no study is called 'four'") as caught:
        shown(database, ["one", "four"])
    assert "costly, three, one, two" in str(caught.value.hint)


def test_a_study_whose_trials_all_failed(database: Path) -> None:
    text = shown(database, ["failed"])
    assert "no trial has completed with a finite value" in text
    assert "optuna-confirm" not in text


def test_the_improvement_has_its_spread_once_it_is_confirmed(database: Path) -> None:
    folder = database.parent / "results" / "one"
    folder.mkdir(parents=True)
    text = shown(database, ["one"])
    assert "+0.3 against the default config: one seed each" in text
    assert f"poe optuna-confirm one --storage {url_of(database)}" in text
    write_confirmation(folder, confirmation())
    text = " ".join(shown(database, ["one"]).split())
    # means 0.4 and 0.1; every one of the best's seeds wins
    assert "+0.3 on 3 fresh seeds each (95% +" in text
    assert "better in 100% of pairs of seeds" in text
    assert "optuna-confirm" not in text


@pytest.mark.parametrize("stale", [{"trial": 0}, {"data_hash": "others"}, {"study": "two"}, {"format": 0}])
def test_a_confirmation_of_something_else_is_none(database: Path, stale: dict[str, Any]) -> None:
    folder = database.parent / "results" / "one"
    folder.mkdir(parents=True)
    write_confirmation(folder, confirmation(**stale))
    assert read(database, "one")[0].confirmation is None
    (folder / "confirmation.json").write_text("{")
    assert read(database, "one")[0].confirmation is None


def test_top_parameters_come_from_the_insights(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def share(name: str, value: float) -> Importance:
        return Importance(name=name, value=value, band="high", low=0.0, high=1.0, clear=True)

    shares = (share("model.d_model", 0.7), share("training.learning_rate", 0.3))
    state = StudyState(spec_hash="s", n_trials=4, complete=2, pruned=2, fail=0, last_end=None, confirmed=False)
    told = {"format": FORMAT, "study": "one", "state": state, "findings": (), "next_steps": ()}
    insights = Insights(**told, importances=shares, importance_note="")
    folder = database.parent / "results" / "one"
    folder.mkdir(parents=True)
    (folder / "insights.json").write_text("{}")
    monkeypatch.setattr(facts_module, "load_insights", lambda _: insights)
    assert "top     d_model 0.70 (best 64), learning_rate 0.30 (best 0.001)" in shown(database, ["one"])
    lucky = tuple(one.model_copy(update={"clear": one.name == "model.d_model"}) for one in shares)
    monkeypatch.setattr(facts_module, "load_insights", lambda _: insights.model_copy(update={"importances": lucky}))
    assert "top     d_model 0.70 (best 64)\n" in shown(database, ["one"])
    few = insights.model_copy(update={"importances": (), "importance_note": "Too few trials."})
    monkeypatch.setattr(facts_module, "load_insights", lambda _: few)
    assert "top     Too few trials." in shown(database, ["one"])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_figure_is_there_at_any_width(database: Path, width: int) -> None:
    text = shown(database, ["one", "costly", HOSTILE], width=width)
    body = text.split("\nnext\n")[0]
    assert max(map(len, body.splitlines())) <= width
    for figure in ("0.4", "+0.3", "4 of 4", "50%", "4m 00s", "1.23%"):
        assert figure in body, figure


def test_json_for_scripts(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_results(url_of(database), database.parent / "results", ["one", "costly", "failed"], as_json=True)
    one, costly, failed = json.loads(capsys.readouterr().out)["studies"]
    assert (one["best_value"], one["default_value"], one["improvement_over_default"]) == (0.4, 0.1, pytest.approx(0.3))
    assert (one["pruning_rate"], one["active_s"], one["trials_by_state"]) == (0.5, 240.0, {"complete": 2, "pruned": 2})
    assert one["best_params"] == {"training.learning_rate": 0.001, "model.d_model": 64}
    assert (one["confirmation"], one["importances"], one["pareto_front"]) == (None, None, None)
    assert [study["ruler"] for study in (one, costly, failed)] == [1, 2, 1]
    assert failed["best_value"] is None


def test_nothing_is_claimed_of_studies_that_fxai_did_not_make(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with opened(url_of(path), create=True) as storage:
        add_study(storage, "rosenbrock", [1.0, 5.0])
        add_study(storage, "cnn", [0.1, 0.2])
    both = read(path, "rosenbrock", "cnn")
    assert len(by_ruler(both)) == 2
    assert ruler_differences(*both) == ["FxAI made neither, and knows not what scored them"]
    text = shown(path)
    assert "default config" not in text.replace("default: the plain base config", "")
    [row] = [line for line in text.splitlines() if line.startswith("rosenbrock  ")]
    assert row.split()[1:4] == ["5", "–", "–"]


def test_a_later_phase_is_held_against_the_default_that_its_ruler_knows(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with opened(url_of(path), create=True) as storage:
        add_study(storage, "one", [0.1, 0.4], spec=recorded("one", phase=1))
        add_study(storage, "two", [0.3, 0.7], spec=recorded("two", phase=2, inherited={"values": {}}))
    text = shown(path)
    # phase 2: 0.7 beside the default's 0.1 of phase 1 is +0.6; beside its own start, 0.3, +0.4
    rows = [line.split() for line in text.splitlines()]
    assert ["one", "1", "0.1", "0.4", "0.1", "+0.3"] in [row[:6] for row in rows]
    assert ["two", "2", "0.3", "0.7", "0.1", "+0.6"] in [row[:6] for row in rows]
    assert "+0.6 against the default config, +0.4 against what it inherited" in text
    [alone] = [line for line in shown(path, ["two"]).splitlines() if line.startswith("two    ")]
    assert alone.split()[2:6] == ["0.3", "0.7", "–", "–"]  # nothing here knows the default
