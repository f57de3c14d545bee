"""A spec file is read and checked before anything else happens (docs/faults.md C)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fxai import yaml_strict
from fxai.config.load import merge
from fxai.errors import ConfigError
from fxai.study.spec import SpecFile, StudySpec, load_specs

ROOT = Path(__file__).parents[2]

SPEC = """\
name: test
studies:
  - study_name: fx_test
    direction: maximize
    metric_name: sharpe
    storage: sqlite:///studies.db
    base_config: ecb_daily
    sampler: {type: TPESampler, n_startup_trials: 4, seed: 42}
    pruner: {type: MedianPruner, n_startup_trials: 3}
    parameters:
      - {name: training.learning_rate, type: float_log, low: 1e-5, high: 1e-3}
      - {name: model.d_model, type: categorical, choices: [32, 64]}
    n_trials: 20
    training_config:
      training:
        total_updates: 20
"""


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def load(tmp_path: Path, text: str) -> SpecFile:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return load_specs(path)


def load_with(tmp_path: Path, changes: dict[str, Any], drop: tuple[str, ...] = ()) -> tuple[StudySpec, SpecFile]:
    """The spec above with other keys in its study."""
    data = yaml_strict.loads(SPEC, "spec").data
    study = merge(data["studies"][0], changes)
    data["studies"] = [{key: value for key, value in study.items() if key not in drop}]
    file = load(tmp_path, yaml_strict.dump(data))
    return file.studies[0], file


def refusal(tmp_path: Path, changes: dict[str, Any], drop: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load_with(tmp_path, changes, drop)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def refused_line(tmp_path: Path, old: str, new: str) -> str:
    """First line of the error after a textual change, with its line number."""
    assert old in SPEC
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, SPEC.replace(old, new))
    return str(caught.value).replace(str(tmp_path) + "/", "").splitlines()[0]


def test_a_spec_is_read_with_its_defaults(tmp_path: Path) -> None:
    file = load(tmp_path, SPEC)
    study = file.studies[0]
    assert (file.name, file.description, file.results_dir) == ("test", "", Path("optuna_results"))
    assert (file.dashboard_port, file.save_study_plots, file.warnings) == (8052, True, ())
    assert (study.study_name, study.directions, study.metric_names) == ("fx_test", ("maximize",), ("sharpe",))
    assert (study.n_trials, study.timeout, study.n_jobs) == (20, None, 1)
    assert study.load_if_exists
    assert study.catch_exceptions
    assert study.sampler.options == {"n_startup_trials": 4, "seed": 42}
    assert study.pruner.type == "MedianPruner"
    # The base is the base config under the overrides: 20 from the spec, gamma from the file.
    assert study.base.training.total_updates == 20
    assert study.base.env.execution == "next_close"


def test_workers_come_from_n_jobs_else_from_max_concurrent_trials(tmp_path: Path) -> None:
    head = "name: test\nmax_concurrent_trials: 4\ngpu_per_trial: 0.5\n"
    study = load(tmp_path, SPEC.replace("name: test\n", head)).studies[0]
    assert (study.n_jobs, study.gpu_per_trial) == (4, 0.5)
    text = SPEC.replace("name: test\n", head).replace("    n_trials: 20\n", "    n_trials: 20\n    n_jobs: 2\n")
    assert load(tmp_path, text).studies[0].n_jobs == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_trials: 20", "n_trails: 20", "s.yaml:13: studies[0].n_trails: unknown key"),
        ("n_trials: 20", "n_trials: 20.0", "s.yaml:13: studies[0].n_trials: must be a whole number, got 20.0"),
        ("n_trials: 20", "n_trials: 0", "s.yaml:13: studies[0].n_trials: must be ≥ 1, got 0"),
        ("n_trials: 20", "n_trials: yes", "s.yaml:13: studies[0].n_trials: must be a whole number, got the text 'yes'"),
        ("name: test", "nam: test", "s.yaml:1: nam: unknown key"),
        ("high: 1e-3", "high: .inf", "s.yaml:11: studies[0].parameters[0].high: must be a finite number, got inf"),
        ("low: 1e-5", "low: .nan", "s.yaml:11: studies[0].parameters[0].low: must be a finite number, got nan"),
        (
            "low: 1e-5",
            "low: 1e-2",
            "s.yaml:11: studies[0].parameters[0]: training.learning_rate: low 0.01 is above high 0.001",
        ),
        (
            "low: 1e-5",
            "low: 0",
            "s.yaml:11: studies[0].parameters[0]: training.learning_rate: float_log needs low > 0, got 0.0",
        ),
        ("low: 1e-5", "log: true, low: 1e-5", "s.yaml:11: studies[0].parameters[0].log: unknown key"),
        (
            "type: float_log",
            "type: loguniform",
            "s.yaml:11: studies[0].parameters[0].type: must be one of float, float_log, int, int_log, categorical, "
            "got the text 'loguniform'",
        ),
        (
            "[32, 64]",
            "[32, 64, 32]",
            "s.yaml:12: studies[0].parameters[1]: model.d_model: choices has 32 twice "
            "(Optuna takes 1, 1.0 and true for equal)",
        ),
        (
            "[32, 64]",
            "[]",
            "s.yaml:12: studies[0].parameters[1]: model.d_model: choices is empty: list at least one value",
        ),
        (
            "[32, 64]",
            "[[32], 64]",
            "s.yaml:12: studies[0].parameters[1].choices: a choice must be one value, got a list",
        ),
        (
            "training.learning_rate",
            "training.learning_rat",
            "s.yaml:11: parameter 'training.learning_rat' is not a setting",
        ),
        (
            "direction: maximize",
            "direction: maximise",
            "s.yaml:4: studies[0].direction: must be one of maximize, minimize, got the text 'maximise'",
        ),
        ("metric_name: sharpe", "metric_name: sharp", "s.yaml:5: metric_name 'sharp' is not a metric"),
        ("base_config: ecb_daily", "base_config: ecb_dayly", "s.yaml:7: there is no base config 'ecb_dayly' in"),
        ("total_updates: 20", "total_update: 20", "s.yaml:16: training.total_update: unknown key"),
        ("total_updates: 20", "batch_size: 1000", "s.yaml:15: training: batch_size 1000 must be a multiple of"),
    ],
)
def test_each_fault_names_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert refused_line(tmp_path, old, new).startswith(message)


def test_a_fault_of_the_base_file_names_the_base_file(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("data: {source: ecb}\nenv:\n  execution: next_close\n  leverag: 2\n")
    text = SPEC.replace("ecb_daily", "broken")
    with pytest.raises(ConfigError, match=r"broken\.yaml:4: env\.leverag: unknown key"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "name", ["../../x", "a\0b", "x" * 65, "<script>", "", ".hidden", "a/b", "-a", "name\n", "é", "a b", "\x1b[31m"]
)
def test_hostile_study_names_are_refused(tmp_path: Path, name: str) -> None:
    text = refusal(tmp_path, {"study_name": name})
    assert "cannot name a study" in text
    assert text.isprintable() or text.isascii()
    assert "\x1b" not in text
    assert "\0" not in text


def test_study_names_of_64_characters_pass(tmp_path: Path) -> None:
    name = "A" + "0._-" * 15 + "xyz"  # 1 + 60 + 3
    assert load_with(tmp_path, {"study_name": name})[0].study_name == name


def test_two_studies_of_one_name_are_refused(tmp_path: Path) -> None:
    study = SPEC.partition("studies:\n")[2]
    with pytest.raises(ConfigError, match=r"s\.yaml:17: study_name fx_test stands twice, first at .*s\.yaml:3"):
        load(tmp_path, SPEC + study)


def test_a_file_without_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s\.yaml:2: studies: is empty: list at least one"):
        load(tmp_path, "name: test\nstudies: []\n")


def test_one_fault_is_reported_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"n_trials": 0}) == "s.yaml:25: studies[0].n_trials: must be ≥ 1, got 0"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("studies.db", "is not a database URL"),
        ("sqlite://studies.db", "write three slashes, sqlite:///studies.db"),
        ("sqlite://", "in-memory"),
        ("sqlite:///:memory:", "in-memory"),
        ("sqlite:///a.db?timeout=3", "takes no options after"),
        ("mysql://ann:pw@host/db", "mysql is not supported"),
        ("redis://host", "redis is not supported"),
        ("postgres://host/db", "write postgresql://"),
        ("postgresql+psycopg2://host/db", "the driver is chosen by FxAI"),
        ("postgresql://", "names no host"),
        ("postgresql://ann:pw/@host/db", "write %2F for '/' in a user name or password"),
    ],
)
def test_other_databases_are_refused_with_the_reason(tmp_path: Path, url: str, reason: str) -> None:
    text = refusal(tmp_path, {"storage": url})
    assert reason in text
    assert "pw" not in text
    assert "hint: write sqlite:///" in text


def test_a_password_in_the_storage_is_never_shown(tmp_path: Path) -> None:
    changes = {"storage": "postgresql://ann:s3cret@host/fx"}
    spec_file = tmp_path / "s.yaml"
    spec_file.touch()
    spec_file.chmod(0o644)
    with pytest.raises(
        ConfigError, match=r"holds a password, and other users can read this file \(mode 0644\)"
    ) as caught:
        load_with(tmp_path, changes)
    assert caught.value.hint is not None
    assert re.match(r"chmod 600 \S+s\.yaml; or leave the password out and set PGPASSWORD", caught.value.hint)
    assert "s3cret" not in str(caught.value)
    spec_file.chmod(0o600)
    study, file = load_with(tmp_path, changes)
    assert file.warnings == ()
    assert "s3cret" not in repr(study) + repr(file) + " ".join(file.warnings)
    assert study.storage == "postgresql://ann:s3cret@host/fx"


def test_several_directions_need_as_many_metrics(tmp_path: Path) -> None:
    many = {"directions": ["maximize", "minimize"], "metric_names": ["sharpe", "max_drawdown"]}
    one = ("direction", "metric_name")
    study, file = load_with(tmp_path, many, drop=one)
    assert (study.directions, study.metric_names) == (("maximize", "minimize"), ("sharpe", "max_drawdown"))
    assert study.pruner.type == "NopPruner"
    assert any("MedianPruner is not used with several directions" in note for note in file.warnings)
    assert "1 directions for 2 metrics" in refusal(tmp_path, {**many, "directions": ["maximize"]}, drop=one)
    assert "has both direction and directions" in refusal(tmp_path, many, drop=("metric_name",))
    assert "one twice" in refusal(tmp_path, {**many, "metric_names": ["sharpe", "sharpe"]}, drop=one)


def test_the_direction_is_the_metrics_own_unless_said(tmp_path: Path) -> None:
    study, file = load_with(tmp_path, {"metric_name": "max_drawdown"}, drop=("direction",))
    assert study.directions == ("minimize",)
    assert not any("usually" in note for note in file.warnings)
    _, file = load_with(tmp_path, {"direction": "minimize"})
    assert file.warnings[0].endswith("sharpe is usually maximized, and this study minimizes it")


def test_an_unknown_metric_lists_those_that_exist(tmp_path: Path) -> None:
    text = refusal(tmp_path, {"metric_name": "sharp"})
    assert "hint: did you mean sharpe?" in text


def test_a_gymnasium_environment_has_its_return_and_no_other_metric_or_setting(tmp_path: Path) -> None:
    training = {"env": {"gym_id": "Acrobot-v1"}}
    gym = {"base_config": "cartpole", "metric_name": "mean_reward", "training_config": training}
    head = {"name": "model.head_width", "type": "categorical", "choices": [32, 64]}
    rate = {"name": "training.learning_rate", "type": "float_log", "low": 1e-5, "high": 1e-2}
    study, _ = load_with(tmp_path, {**gym, "parameters": [rate, head]}, drop=("pruner",))
    assert study.base.env.gym_id == "Acrobot-v1"
    text = refusal(tmp_path, {**gym, "metric_name": "sharpe", "parameters": [rate]}, drop=("pruner",))
    assert "metric_name sharpe: an episode of Acrobot-v1 has no such metric" in text
    width = {"name": "model.d_model", "type": "categorical", "choices": [32, 64]}
    text = refusal(tmp_path, {**gym, "parameters": [width]}, drop=("pruner",))
    assert "model.d_model has no meaning with env.gym_id Acrobot-v1" in text


def test_the_reward_cannot_be_searched_on_the_shaped_reward(tmp_path: Path) -> None:
    parameter = {"name": "env.reward.pnl_coefficient", "type": "float", "low": 0.5, "high": 2.0}
    changes = {"metric_name": "mean_shaped_reward", "parameters": [parameter]}
    assert "cannot be searched on mean_shaped_reward" in refusal(tmp_path, changes)


def test_a_pruner_that_can_never_act_is_refused_with_the_schedule(tmp_path: Path) -> None:
    # Reports after updates 5, 10, 15, 20; the last one is the trial's end.
    load_with(tmp_path, {"pruner": {"type": "MedianPruner", "n_startup_trials": 3, "n_warmup_steps": 15}})
    text = refusal(tmp_path, {"pruner": {"type": "MedianPruner", "n_warmup_steps": 16}})
    assert "waits until update 16; the last report before a trial's end is at update 15" in text
    assert "report steps are update numbers (total_updates 20, eval_frequency 5)" in text


def test_a_searched_length_counts_with_its_longest(tmp_path: Path) -> None:
    parameter = {"name": "training.total_updates", "type": "int", "low": 10, "high": 40, "step": 10}
    pruner = {"type": "MedianPruner", "n_startup_trials": 3, "n_warmup_steps": 30}
    load_with(tmp_path, {"parameters": [parameter], "pruner": pruner})


def test_a_spec_without_a_pruner_has_none(tmp_path: Path) -> None:
    assert load_with(tmp_path, {}, drop=("pruner",))[0].pruner.type == "NopPruner"


def test_deprecated_options_are_accepted_with_a_warning(tmp_path: Path) -> None:
    _, file = load_with(tmp_path, {"sampler": {"consider_endpoints": True}})
    assert [note.split(": ", 1)[1] for note in file.warnings] == [
        "sampler: TPESampler option consider_endpoints is deprecated in Optuna; leave it out"
    ]


def test_the_hash_moves_with_the_meaning_only(tmp_path: Path) -> None:
    reference = load_with(tmp_path, {})[0].spec_hash
    same: list[dict[str, Any]] = [
        {"n_trials": 30},
        {"n_jobs": 3},
        {"storage": "sqlite:///other.db"},
        {"sampler": {"seed": 1}},
        {"training_config": {"training": {"device": "cpu"}}},
        {"training_config": {"training": {"gradient_accumulation_steps": 2}}},
    ]
    other: list[dict[str, Any]] = [
        {"metric_name": "sortino"},
        {"direction": "minimize"},
        {"training_config": {"env": {"spread_bp": 2.0}}},
        {"parameters": [{"name": "training.gamma", "type": "float", "low": 0.9, "high": 1.0}]},
    ]
    assert {load_with(tmp_path, change)[0].spec_hash for change in same} == {reference}
    hashes = {load_with(tmp_path, change)[0].spec_hash for change in other}
    assert len(hashes | {reference}) == len(other) + 1


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SPEC)
    code = (
        "import sys; from pathlib import Path; from fxai.study.spec import load_specs; load_specs(Path(sys.argv[1])); "
        "print([name for name in ('optuna', 'torch', 'pandas', 'scipy', 'wandb', 'plotly') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_sole_objective_that_doing_nothing_has_least_of_is_noted(tmp_path: Path) -> None:
    file = load_with(tmp_path, {"metric_name": "turnover", "direction": "minimize"})[1]
    (note,) = [note for note in file.warnings if "turnover" in note]
    assert "doing nothing scores 0 in turnover, which alone cannot choose a trader" in note
    assert "metric_names: [mean_reward, turnover] and directions: [maximize, minimize]" in note
    both = {"metric_names": ["mean_reward", "turnover"], "directions": ["maximize", "minimize"]}
    beside = load_with(tmp_path, both, drop=("metric_name", "direction"))[1]
    assert not any("alone" in note for note in (*beside.warnings, *load_with(tmp_path, {})[1].warnings))
