"""Studies side by side: what differs is marked, what cannot be compared is said, histories are worked out by hand."""

from __future__ import annotations

import io
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from browser import CHROMIUM, browser
from report.databases import RULER, add_study, opened, recorded, url_of

from fxai import cli
from fxai.report.compare import (
    active_hours,
    comparison_page,
    file_stem,
    print_comparison,
    result_rows,
    rulers_sentence,
    running_best,
    setting_rows,
    write_comparison,
)
from fxai.report.facts import Facts, read_facts
from fxai.report.terminal import make_console
from fxai.study.database.reader import reading

HOSTILE = "</script><img src=x>\x1b[31m"
NOON = datetime(2026, 5, 5, 12)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "study.db"
    longer, costly = deepcopy(RULER), deepcopy(RULER)
    longer["training"]["total_updates"] = 99
    costly["env"]["spread_bp"] = 2.0
    params = [{"training.learning_rate": 0.001}, {"training.learning_rate": 0.004}]
    two = {"metric_names": ["sharpe", "turnover"], "directions": ["maximize", "minimize"]}
    with opened(url_of(path), create=True) as storage:
        add_study(storage, "A", [0.1, 0.4, 0.3, 0.5], pruned=1, spec=recorded("A", n_trials=5), start=NOON)
        add_study(storage, "B", [0.2, 0.1], spec=recorded("B", base=longer), params=params, start=NOON)
        add_study(storage, "costly", [0.7], spec=recorded("costly", ruler=costly, base=costly))
        add_study(storage, "two", [(1.0, 2.0), (3.0, 9.0)], spec=recorded("two", **two))
        add_study(storage, "empty", spec=recorded("empty"))
        add_study(storage, HOSTILE, [0.1, 0.2])
    return path


def read(database: Path, *names: str) -> list[Facts]:
    with reading(url_of(database)) as reader:
        return read_facts(reader, names, url_of(database), database.parent / "results")


def test_results_side_by_side(database: Path) -> None:
    rows = {row.name: row for row in result_rows(read(database, "A", "B"))}
    assert rows["best"].cells == ("0.5", "0.2")
    assert rows["best trial"].cells == ("3", "0")
    # A: 0.5 against 0.1; B's best is its default
    assert rows["better by"].cells == ("+0.4", "+0")
    assert rows["trials"].cells == ("5 of 5", "2 of 4")
    assert rows["pruned"].cells == ("20%", "0%")
    assert rows["time"].cells == ("5m 00s", "2m 00s")
    assert rows["on fresh seeds"].cells == ("–", "–")
    assert {name for name, row in rows.items() if not row.differs} == {
        "metric",
        "direction",
        "on fresh seeds",
        "sampler",
        "pruner",
    }


def test_settings_side_by_side(database: Path) -> None:
    rows = {row.name: row for row in setting_rows(read(database, "A", "B"))}
    # A searched d_model too, which B's base config does not even name; both trained with another length
    assert rows["training.learning_rate"].cells == ("0.001", "0.001")
    assert not rows["training.learning_rate"].differs
    assert rows["model.d_model"].cells == ("64", "–")
    assert rows["training.total_updates"].cells == ("(20)", "(99)")
    assert set(rows) == {"training.learning_rate", "model.d_model", "training.total_updates"}


def test_a_parameter_that_one_study_fixed_stands_in_brackets(database: Path) -> None:
    one, other = read(database, "A", "B")
    assert other.outcome.best is not None
    other.outcome.best.params.clear()
    rows = {row.name: row for row in setting_rows([one, other])}
    assert rows["training.learning_rate"].cells == ("0.001", "(0.001)")
    assert rows["training.learning_rate"].differs


def test_the_best_so_far_in_the_order_of_endings(database: Path) -> None:
    [facts] = read(database, "A")
    minutes = [
        (n, moment and (moment - NOON) / timedelta(minutes=1), value)
        for n, moment, value in running_best(facts.outcome)
    ]
    # 0.1, 0.4, 0.3 (no better), 0.5, one pruned: the last point is the end
    assert minutes == [(1, 1.0, 0.1), (2, 2.0, 0.4), (4, 4.0, 0.5), (5, 5.0, 0.5)]
    # trial 0 ends last of all
    facts.outcome.trials[0].complete_utc += timedelta(hours=1)  # type: ignore[attr-defined]
    assert [(n, value) for n, _, value in running_best(facts.outcome)] == [(1, 0.4), (3, 0.5), (5, 0.5)]


def test_minimised_and_empty_studies(database: Path) -> None:
    two, empty = read(database, "two", "empty")
    assert running_best(empty.outcome) == []
    assert [value for _, _, value in running_best(two.outcome)] == [1.0, 3.0, 3.0]  # sharpe is the first metric
    two.record.directions[0] = two.record.directions[1]
    from fxai.report.outcome import outcome_of
    from fxai.study.database.records import as_study

    down = outcome_of(as_study(two.record), ["sharpe", "turnover"])
    assert [value for _, _, value in running_best(down)] == [1.0, 1.0]


def test_pauses_do_not_count_as_hours(database: Path) -> None:
    [facts] = read(database, "A")
    for trial in facts.outcome.trials[2:]:  # a pause of ten hours after two minutes
        trial.start_utc += timedelta(hours=10)  # type: ignore[attr-defined]
        trial.complete_utc += timedelta(hours=10)  # type: ignore[attr-defined]
    hours = active_hours(facts.outcome, [moment for _, moment, _ in running_best(facts.outcome)])
    assert hours == pytest.approx([1 / 60, 2 / 60, 4 / 60, 5 / 60])


def test_other_rulers_are_said(database: Path) -> None:
    assert rulers_sentence(read(database, "A", "B")) == ""
    sentence = rulers_sentence(read(database, "A", "B", "costly"))
    assert sentence == (
        "Not scored on one ruler, so a higher value is not a better agent: costly (env.spread_bp 2.0, not 1.0), unlike "
        "A and B."
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_tables_fit_any_width(database: Path, width: int) -> None:
    stream = io.StringIO()
    print_comparison(read(database, "A", "B", "costly", HOSTILE), make_console(stream, width))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "≠ best" in text


def test_long_names_of_settings_are_shortened_before_they_are_broken(tmp_path: Path) -> None:
    path, name = tmp_path / "study.db", "env.reward.profit_giveback_penalty_coefficient"
    with opened(url_of(path), create=True) as storage:
        for i, study in enumerate(("first_study", "other_study")):
            add_study(storage, study, [0.1], spec=recorded(study), params=[{name: 0.1 + i}])
    printed = {}
    for width in (70, 80):  # mark 2, name 46 or 35, two studies of 11 with two blanks between: 74 or 63
        print_comparison(read(path, "first_study", "other_study"), make_console(stream := io.StringIO(), width))
        printed[width] = stream.getvalue()
    assert f"≠ {name} " in printed[80]
    assert "≠ profit_giveback_penalty_coefficient " in printed[70]
    assert "env.reward" not in printed[70]


def test_studies_of_one_metric_share_their_plots(database: Path) -> None:
    page = comparison_page(read(database, "A", "two", "B", "empty"))
    assert page.count('class="figure"') == 4  # mean_reward and sharpe, over trials and over time
    assert "empty: no trial has completed yet" in page
    assert "Of several objectives the first is drawn." in page
    assert "Not scored on one ruler" in page


def test_names_are_harmless_in_the_page(database: Path) -> None:
    page = comparison_page(read(database, "A", HOSTILE))
    assert "<img" not in page
    assert "\x1b" not in page


def test_with_nothing_to_draw_there_is_a_page_of_tables(database: Path) -> None:
    page = comparison_page(read(database, "empty", "empty"))
    assert "plotly.min.js" not in page
    assert "<table>" in page


def test_the_file_has_a_name_that_is_one() -> None:
    assert file_stem(["fx_ai_foundation", "fx_ai_reward"]) == "compare_fx_ai_foundation--fx_ai_reward"
    assert len({file_stem(names) for names in (["a", "b--c"], ["a--b", "c"], ["a-", "b"], ["a", "-b"])}) == 4
    odd = file_stem(["../../etc", HOSTILE])
    assert odd.startswith("compare_.._.._etc")
    assert not set(odd) & set("/<>\x1b ")
    long = file_stem(["a" * 64, "b" * 64, "c" * 64])
    assert len(long) <= 140
    assert long != file_stem(["a" * 64, "b" * 64, "d" * 64])  # cut, they would be one
    assert file_stem(["a b"]) != file_stem(["a_b"])


def test_the_command_prints_and_writes(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(database.parent)
    assert cli.main(["compare", "A", "B", "--storage", url_of(database)]) == 0
    assert "optuna_results/compare_A--B.html" in capsys.readouterr().out
    assert {path.name for path in Path("optuna_results").iterdir()} == {"compare_A--B.html", "plotly.min.js"}
    assert cli.main(["compare", "A", "C", "--storage", url_of(database)]) == 2
    assert "studies in this database: A, B, costly" in capsys.readouterr().err
    assert cli.main(["compare", "A", "A", "--storage", url_of(database)]) == 2
    assert "nothing to be compared with" in capsys.readouterr().err


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_draws_the_page_and_complains_of_nothing(database: Path, tmp_path: Path) -> None:
    path = write_comparison(read(database, "A", "B", HOSTILE), database.parent)
    with browser(tmp_path / "profile") as tab:
        tab.open(path.as_uri())
        tab.wait_for("document.querySelectorAll('.figure .main-svg').length >= 4")
        assert "≠ best" in tab.text()
        assert tab.complaints == []
