"""F43 to F46 and the conflict of a phase that ran with other values: refused in words, and nothing half written."""

from __future__ import annotations

from pathlib import Path

import pytest
from chained import COEFFICIENT, FLAG, GAMMA, RATE, fill, spec_of, write_specs
from optuna.trial import TrialState

from fxai import cli
from fxai.report.results import load_best_params, write_results
from fxai.study.database.storage import load_study, opened
from fxai.study.inherited import INHERITED, load_inherited
from fxai.study.transfer import with_inherited

GOOD = [(0.1 * i, {RATE: 0.001, GAMMA: 0.5 + 0.01 * i}) for i in range(4)]
FILE = Path("results/two") / INHERITED


@pytest.fixture
def specs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_specs(tmp_path)


def transfer(specs, *options: str, phases=("1", "2")) -> int:
    return cli.main(["transfer", "--specs", str(specs), "--from-phase", phases[0], "--to-phase", phases[1], *options])


def test_f43_a_source_that_has_not_been_run(specs, capsys):
    assert transfer(specs) == 2
    assert "run it first: poe optuna-run --spec" in capsys.readouterr().err
    fill(spec_of(specs, 2), [])  # the database is there, the study is not
    assert transfer(specs) == 2
    assert "study one (phase 1) has not been run" in capsys.readouterr().err
    assert not FILE.exists()


def test_f43_too_few_completed_trials(specs, capsys):
    fill(spec_of(specs, 1), GOOD[:1])  # a budget of 4 needs 2
    assert transfer(specs) == 2
    said = capsys.readouterr().err
    assert "study one has completed 1 of at least 2 trials that a transfer needs (1 of 4 finished" in said
    assert "--min-trials 1" in said
    assert not FILE.exists()
    assert transfer(specs, "--min-trials", "1") == 0
    assert "note: one has finished 1 of 4 trials: its best may still change" in capsys.readouterr().err
    assert load_inherited(FILE.parent).values == {RATE: 0.001, GAMMA: 0.5}


def test_f44_values_out_of_range_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    narrow = [
        {"name": RATE, "type": "float", "low": 0.0001, "high": 0.0005},
        {"name": GAMMA, "type": "float", "low": 0.94, "high": 0.98},
    ]
    specs = write_specs(tmp_path, {2: {"parameters": narrow}})
    fill(spec_of(specs, 1), GOOD)
    assert transfer(specs) == 2
    said = capsys.readouterr().err
    assert "training.learning_rate: 0.001 is not among the searched values, 0.0001 to 0.0005" in said
    assert "training.gamma: 0.53 is not among the searched values, 0.94 to 0.98" in said
    assert not FILE.exists()


def test_f45_twice_leaves_the_same_bytes_and_a_better_source_new_ones(specs, capsys):
    fill(spec_of(specs, 1), GOOD)
    assert transfer(specs) == 0
    before = FILE.read_bytes()
    assert transfer(specs) == 0
    assert FILE.read_bytes() == before
    assert "unchanged: results/two/inherited.yaml (2 values for two)" in capsys.readouterr().out
    fill(spec_of(specs, 1), [(9.0, {RATE: 0.005, GAMMA: 0.9})])
    assert cli.main(["transfer", "--specs", str(specs), "--status", "--to-phase", "2"]) == 0
    assert "stale, trial 5 is better by now (9)" in capsys.readouterr().out
    assert transfer(specs) == 0
    assert load_inherited(FILE.parent).values == {RATE: 0.005, GAMMA: 0.9}


def test_f46_a_damaged_best_params_is_written_anew_from_the_database(specs, capsys):
    study = fill(spec_of(specs, 1), GOOD)
    folder = Path("results/one")
    write_results(study, spec_of(specs, 1), folder)
    whole = load_best_params(folder)
    (folder / "best_params.json").write_text('{"params": {"training.gamma": 0.1')
    assert transfer(specs) == 0
    assert "best_params.json is corrupted; it was written anew from the database" in capsys.readouterr().err
    assert load_best_params(folder) == whole
    assert load_inherited(FILE.parent).values[GAMMA] == 0.53  # the database's, not the file's


def test_f46_a_damaged_inherited_file_is_replaced_and_said(specs, capsys):
    fill(spec_of(specs, 1), GOOD)
    assert transfer(specs) == 0
    whole = load_inherited(FILE.parent)
    FILE.write_text("values: [")
    assert cli.main(["--spec", str(specs / "phase2.yaml")]) == 2
    assert "is damaged" in capsys.readouterr().err
    assert transfer(specs) == 0
    assert "is damaged" in capsys.readouterr().err
    assert load_inherited(FILE.parent).same_as(whole)


def test_a_source_on_another_ruler_is_a_conflict(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path, {2: {"training_config": {"env": {"spread_bp": 3.0}}}})
    fill(spec_of(specs, 1), GOOD)
    assert transfer(specs) == 4
    assert "env.spread_bp: 1.0 in one, 3.0 in two" in capsys.readouterr().err
    assert not FILE.exists()


def test_a_phase_that_ran_with_other_values_goes_on_as_a_new_study_only(specs, capsys):
    fill(spec_of(specs, 1), GOOD)
    assert transfer(specs) == 0
    two = with_inherited(spec_of(specs, 2), load_inherited(FILE.parent))
    fill(two, [(1.0, {FLAG: True, COEFFICIENT: 0.1})])
    fill(spec_of(specs, 1), [(9.0, {RATE: 0.005, GAMMA: 0.9})])
    capsys.readouterr()
    assert transfer(specs) == 0
    said = capsys.readouterr().err
    assert "warning: two has run with other values" in said
    assert "training.gamma: 0.53 in the study, 0.9 now" in said
    new = with_inherited(spec_of(specs, 2), load_inherited(FILE.parent))
    from fxai.errors import StudyConflict

    with pytest.raises(StudyConflict) as caught:
        fill(new, [])
    assert "base.training.gamma: 0.53 in the study, 0.9 now" in caught.value.what
    assert "ruler." not in caught.value.what
    assert "--new-study" in caught.value.hint
    with opened(two.storage, readonly=True) as storage:
        counts = [trial.state for trial in load_study(storage, "two").trials]
    assert counts == [TrialState.WAITING, TrialState.COMPLETE]


def test_a_phase_without_its_transfer_says_what_to_run(specs, capsys):
    assert cli.main(["--spec", str(specs / "phase2.yaml"), "--storage", "sqlite:///other.db"]) == 2
    said = capsys.readouterr().err
    assert "study two starts from the best of one, and that has not been transferred" in said
    assert "transfer_best_params.py --from-phase 1 --to-phase 2" in said
    assert "--storage sqlite:///other.db" in said
    assert "--without-transfer" in said
    assert not Path("other.db").exists()
