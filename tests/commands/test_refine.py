"""`refine`: the file that it writes loads, runs, and replaces nothing unasked."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from report.known import PARAMETERS, drawn, spec_of

from fxai.cli import main
from fxai.commands.refine import refine_command
from fxai.config.load import flat
from fxai.errors import InputError
from fxai.study.database.storage import opened
from fxai.study.fingerprint import _record, open_study
from fxai.study.spec import StudySpec, load_specs


def place(params: Mapping[str, Any]) -> float:
    return math.log10(params["training.learning_rate"] / 0.0001) / 2.0


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    """A study of 60 trials in a database; the learning rate decides, and its good end is cut off."""
    return stored(tmp_path)


def stored(folder: Path, **keys: Any) -> StudySpec:
    spec = spec_of(folder, **keys)
    with opened(spec.storage, create=True):
        pass
    study = drawn(spec.parameters, 60, place, noise=0.02, seed=1, storage=spec.storage)
    study.set_user_attr("spec", _record(spec))
    study._storage.remove_session()
    return spec


def asked(spec: StudySpec, out: Path | None, *, force: bool = False) -> argparse.Namespace:
    results = out.parent / "results" if out is not None else Path("results")
    return argparse.Namespace(study="known", storage=spec.storage, results_dir=results, out=out, force=force)


def test_the_spec_loads_and_says_why(spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "next.yaml"
    assert refine_command(asked(spec, out)) == 0
    told = capsys.readouterr()
    assert told.out == f"{out}\n"
    assert f"run it: poe optuna-run --spec {out}" in told.err
    specs = load_specs(out)
    assert specs.warnings == ()
    (refined,) = specs.studies
    assert refined.study_name == "known_refined"
    assert refined.ruler == spec.ruler
    rate = next(p for p in refined.parameters if p.name == "training.learning_rate")
    assert rate.high == pytest.approx(0.0398, rel=0.01)
    assert refined.sampler.options["seed"] == 4  # the study has 3
    assert (refined.n_trials, refined.metric_names, refined.directions) == (60, ("mean_reward",), ("maximize",))
    assert refined.fixed.keys() | {p.name for p in refined.parameters} == {p["name"] for p in PARAMETERS}
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Refined from study known on ")
    assert "crowd at its high end 0.01: widened there" in " ".join(text.replace("#", " ").split())
    for line in text.splitlines():
        assert len(line) <= 120


def test_the_refined_study_opens_with_the_best_and_the_next_best(spec: StudySpec, tmp_path: Path) -> None:
    out = tmp_path / "next.yaml"
    refine_command(asked(spec, out))
    (refined,) = load_specs(out).studies
    with opened(refined.storage) as storage:
        study = open_study(storage, refined, None)
        queued = [trial.system_attrs["fixed_params"] for trial in study.get_trials()]
        assert queued[0] == refined.start
        assert queued[1:] == list(refined.enqueue)
        assert len(queued) == 4


def test_overrides_and_what_only_trains_are_carried_over(tmp_path: Path) -> None:
    spec = stored(
        tmp_path,
        training_config={"training": {"total_updates": 12, "eval_frequency": 4}, "env": {"spread_bp": 2.5}},
        fixed={"env.reward.enable_risk_penalty": True},
        pruner={"type": "MedianPruner", "n_startup_trials": 4},
    )
    out = tmp_path / "next.yaml"
    refine_command(asked(spec, out))
    (refined,) = load_specs(out).studies
    assert flat(refined.ruler.model_dump()) == flat(spec.ruler.model_dump())
    assert refined.fixed["env.reward.enable_risk_penalty"] is True
    assert refined.pruner == spec.pruner
    raw = yaml.safe_load(out.read_text(encoding="utf-8"))["studies"][0]["training_config"]
    assert raw == {"training": {"total_updates": 12, "eval_frequency": 4}, "env": {"spread_bp": 2.5}}


def test_a_file_is_replaced_only_when_told_and_a_preset_never(spec: StudySpec, tmp_path: Path) -> None:
    out, preset = tmp_path / "next.yaml", tmp_path / "known.yaml"
    refine_command(asked(spec, out))
    with pytest.raises(InputError, match="exists already"):
        refine_command(asked(spec, out))
    out.write_text(out.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    refine_command(asked(spec, out, force=True))
    assert load_specs(out).studies[0].study_name == "known_refined"
    before = preset.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="is not a refined spec"):
        refine_command(asked(spec, preset, force=True))
    assert preset.read_text(encoding="utf-8") == before


def test_the_usual_place_is_the_folder_of_the_presets(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "optuna").mkdir(parents=True)
    (tmp_path / "config" / "base").mkdir()
    (tmp_path / "base.yaml").rename(tmp_path / "config" / "base" / "base.yaml")
    monkeypatch.chdir(tmp_path)
    assert refine_command(asked(spec, None)) == 0
    assert load_specs(Path("config/optuna/known_refined.yaml")).studies[0].study_name == "known_refined"
    assert [path.name for path in (tmp_path / "config" / "optuna").iterdir()] == ["known_refined.yaml"]


@pytest.mark.parametrize("fault", ["base", "folder", "study"])
def test_what_cannot_be_is_one_line(
    spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    out = tmp_path / ("absent/next.yaml" if fault == "folder" else "next.yaml")
    if fault == "base":
        (tmp_path / "base.yaml").unlink()
    name = "unknown" if fault == "study" else "known"
    assert main(["refine", name, "--storage", spec.storage, "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "hint: " in told
    assert "Traceback" not in told
    assert not out.exists()
    assert not list(tmp_path.glob(".next*"))
