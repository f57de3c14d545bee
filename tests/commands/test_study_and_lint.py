"""`study` finds a study by its name; `lint` says what a spec holds and costs; `--n-jobs` runs that many workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from small import SMALL

from fxai import cli
from fxai.commands import run as run_module
from fxai.commands.find import Found, find_spec
from fxai.commands.lint import PRUNERS as PRUNER_WORDS
from fxai.commands.lint import SAMPLERS as SAMPLER_WORDS
from fxai.errors import InputError
from fxai.study.database.storage import load_study, opened
from fxai.study.pruners import PRUNERS
from fxai.study.samplers import SAMPLERS
from fxai.study.workers import slots

PARAMETERS = [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}]


def write(path: Path, name: str, *studies: str, **changes: Any) -> None:
    entries = [
        {
            "study_name": study,
            "storage": "sqlite:///s.db",
            "base_config": "small",
            "sampler": {"type": "RandomSampler", "seed": 1},
            "parameters": PARAMETERS,
            "n_trials": 3,
            **changes,
        }
        for study in studies
    ]
    path.write_text(yaml.safe_dump({"name": name, "save_study_plots": False, "studies": entries}))


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder of specs, beside its base config."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "config" / "optuna"
    folder.mkdir(parents=True)
    (tmp_path / "config" / "base").mkdir()
    (tmp_path / "config" / "base" / "small.yaml").write_text(yaml.safe_dump(SMALL))
    write(folder / "one.yaml", "first_search", "alone")
    write(folder / "two.yaml", "second", "left", "right")
    (folder / "broken.yaml").write_text("a: [1\n")
    return folder


@pytest.mark.parametrize(
    ("word", "file", "study"),
    [
        ("alone", "one", "alone"),
        ("one", "one", None),
        ("first_search", "one", None),
        ("right", "two", "right"),
        ("second", "two", None),
        ("broken", "broken", None),  # what is wrong with it, loading it says
    ],
)
def test_a_study_is_found_by_any_of_its_names(word: str, file: str, study: str | None, specs: Path) -> None:
    assert find_spec(word, specs) == Found(specs / f"{file}.yaml", study)


def test_an_unknown_name_is_refused_with_the_nearest(specs: Path) -> None:
    with pytest.raises(InputError, match="no study is called 'rigth'\nhint: did you mean right"):
        find_spec("rigth", specs)
    (specs / "x.yaml").write_text("a: 1")
    with pytest.raises(InputError, match="is a file, not the name of a study\nhint: run it: poe optuna-run --spec"):
        find_spec("config/optuna/x.yaml", specs)
    with pytest.raises(InputError, match="there is no such folder\nhint: run it in the project's folder, or name"):
        find_spec("one", specs / "none")


def test_a_name_of_two_specs_is_refused(specs: Path) -> None:
    write(specs / "three.yaml", "third", "alone")
    with pytest.raises(InputError, match=r"'alone' names studies of several specs: .*one.yaml, .*three.yaml"):
        find_spec("alone", specs)
    assert find_spec("three", specs).study is None


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 4)


@pytest.mark.usefixtures("four_cores")
def test_a_study_runs_by_name_with_as_many_workers_as_asked(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fxai.study.workers import launch

    asked: list[int] = []
    real = launch.run_study

    def spy(*args: Any, crew: launch.Crew, **options: Any) -> launch.RunOutcome:
        asked.append(len(crew.slots))
        return real(*args, crew=crew, **options)

    monkeypatch.setattr(launch, "run_study", spy)
    assert cli.main(["study", "right", "--n-jobs", "2", "--n-trials", "4"]) == 0
    assert asked == [2]
    assert "right is in config/optuna/two.yaml" in capsys.readouterr().err
    with opened("sqlite:///s.db", readonly=True) as storage:
        assert len(load_study(storage, "right").trials) == 4
    logs = sorted(path.name for path in Path("optuna_results/right/logs").glob("worker-*.log"))
    assert logs == ["worker-0.log", "worker-1.log"]
    assert not Path("optuna_results/left").exists()


@pytest.mark.usefixtures("four_cores")
def test_overrides_reach_every_study_of_a_spec(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(run_module, "_run_one", lambda specs, spec, args, audience: ran.append(spec) or 0)
    words = ["--n-trials", "7", "--timeout", "5", "--n-jobs", "3", "--storage", "sqlite:///o.db"]
    words += ["--set", "training.total_updates=4"]
    assert cli.main(["--spec", str(specs / "two.yaml"), *words]) == 0
    assert [spec.study_name for spec in ran] == ["left", "right"]
    for spec in ran:
        assert (spec.n_trials, spec.timeout, spec.n_jobs, spec.storage) == (7, 5.0, 3, "sqlite:///o.db")
        assert spec.base.training.total_updates == spec.ruler.training.total_updates == 4
    ran.clear()
    assert cli.main(["--spec", str(specs / "two.yaml"), "--study-name", "left"]) == 0
    assert [spec.study_name for spec in ran] == ["left"]
    assert cli.main(["--spec", str(specs / "two.yaml"), "--study-name", "other"]) == 2
    assert cli.main(["--spec", str(specs / "one.yaml"), "--study-name", "other"]) == 0
    assert ran[-1].study_name == "other"
    # a study that --new-study began is gone on with by its name
    text = yaml.safe_load((specs / "two.yaml").read_text())
    text["studies"][1]["n_trials"] = 7  # of `right`
    (specs / "two.yaml").write_text(yaml.safe_dump(text))
    assert cli.main(["--spec", str(specs / "two.yaml"), "--study-name", "right-2"]) == 0
    assert (ran[-1].study_name, ran[-1].n_trials) == ("right-2", 7)


def test_a_short_run_whose_pruner_cannot_act_is_warned_about(
    specs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "pruner": {"type": "MedianPruner", "n_warmup_steps": 4},
        "training_config": {"training": {"total_updates": 8, "eval_frequency": 2}},
    }
    write(specs / "one.yaml", "first_search", "alone", **changes)
    monkeypatch.setattr(run_module, "_run_one", lambda specs, spec, args, audience: 0)
    assert cli.main(["study", "alone", "--set", "training.total_updates=4"]) == 0
    assert "warning: --set: pruner: MedianPruner can never stop a trial: it waits until update 4" in (
        capsys.readouterr().err
    )


def test_lint_tells_a_spec_and_its_cost(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lint", "two", "--no-calibration", "--json", "--n-jobs", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [study["study"] for study in told["studies"]] == ["left", "right"]
    (left, _) = told["studies"]
    # 4 segments × 2 accounts × 32 bars × 2 updates × 3 trials
    assert (left["trials"], left["env_steps"], left["workers"], left["time"]) == (3, 1536, 1, None)
    assert left["parameters"][0]["name"] == "training.learning_rate"
    assert left["pruner_first_acts"] is None
    assert not Path("s.db").exists()
    assert not Path("optuna_results").exists()
    assert cli.main(["lint", str(specs / "one.yaml"), "--no-calibration"]) == 0
    out = capsys.readouterr().out
    assert "one.yaml: first_search, no error" in out
    assert "NopPruner stops nothing: every trial runs to its end, 2 updates" in out
    assert "RandomSampler draws at random" in out
    assert set(SAMPLER_WORDS) == set(SAMPLERS)
    assert set(PRUNER_WORDS) == set(PRUNERS)
    assert "training.learning_rate  float  0.0001 to 0.002  0.0003" in out
    assert cli.main(["lint", str(specs / "broken.yaml")]) == 2


@pytest.mark.usefixtures("four_cores")
def test_lint_trains_a_little_to_foretell_the_time(
    specs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fxai.study import calibration

    monkeypatch.setattr(calibration, "MAX_S", 0.0)
    assert cli.main(["lint", "alone", "--json", "--n-jobs", "3"]) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    time = study["time"]
    # nothing that it searches makes a training longer
    assert (
        0.0 < time["mean_trial_s"] == pytest.approx(time["default_trial_s"]) == pytest.approx(time["largest_trial_s"])
    )
    # three trials on three workers: one after the start
    assert time["study_s"] == pytest.approx(time["study_with_pruning_s"]) == pytest.approx(6.0 + time["mean_trial_s"])
    assert cli.main(["lint", "alone"]) == 0
    assert "a trial" in capsys.readouterr().out
