"""What a study costs, foretold: counted by hand on small schedules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fakes import load

from fxai.study.forecast import drawn_configs, env_steps_of, forecast, kept_by, largest_config, work_of
from fxai.study.options import PrunerSpec
from fxai.study.spec import StudySpec


def spec_of(folder: Path, pruner: dict[str, Any] | None = None, **changes: Any) -> StudySpec:
    training = {"training": {"total_updates": 20, "eval_frequency": 5}}
    return load(folder, training_config=training, pruner=pruner, **changes)


def test_env_steps_are_updates_times_transitions(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, n_trials=3)
    # 16 segments × 8 accounts × 128 bars × 20 updates
    assert env_steps_of(spec.base) == 327_680
    told = forecast(spec)
    assert (told.env_steps, told.kept, told.reports) == (3 * 327_680, 1.0, 4)


@pytest.mark.parametrize(
    ("pruner", "kept"),
    [
        # 5 of 10 trials are spared; of the others half stop after 10 of 20 updates: 0.5 + 0.5 · 0.75
        ({"type": "MedianPruner", "n_startup_trials": 5, "n_warmup_steps": 8}, 0.875),
        # all judged: a quarter goes on, three quarters stop after 5 of 20: 0.25 + 0.75 · 0.25
        ({"type": "PercentilePruner", "percentile": 25.0, "n_startup_trials": 0}, 0.4375),
        # rungs at 5 and 10: all do 5, half 5 more, a quarter the last 10: (5 + 2.5 + 2.5) / 20
        ({"type": "SuccessiveHalvingPruner", "min_resource": 5, "reduction_factor": 2}, 0.5),
        # brackets from 5 and 20, of ⌈2·4/2⌉ = 4 and 2 trials; the first has (5 + 15/4) / 20, the second all
        (
            {"type": "HyperbandPruner", "min_resource": 5, "max_resource": 20, "reduction_factor": 4},
            (4 * 0.4375 + 2) / 6,
        ),
        ({"type": "ThresholdPruner", "lower": 0.0}, None),
        ({"type": "NopPruner"}, 1.0),
    ],
    ids=lambda own: own["type"] if isinstance(own, dict) else "",
)
def test_what_pruning_leaves(pruner: dict[str, Any], kept: float | None, tmp_path: Path) -> None:
    assert kept_by(spec_of(tmp_path, pruner, n_trials=10)) == (None if kept is None else pytest.approx(kept))


def test_a_pruner_that_cannot_act_saves_nothing(tmp_path: Path) -> None:
    late = PrunerSpec(type="MedianPruner", options={"n_warmup_steps": 50})
    assert kept_by(spec_of(tmp_path).model_copy(update={"pruner": late})) == 1.0


def test_random_points_are_of_the_space_and_of_every_kind(tmp_path: Path) -> None:
    parameters = [
        {"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.01},
        {"name": "training.gamma", "type": "float", "low": 0.5, "high": 0.95, "step": 0.05},
        {"name": "training.n_epochs", "type": "int_log", "low": 1, "high": 16},
        {"name": "model.window", "type": "int", "low": 20, "high": 100, "step": 20},
        {"name": "model.d_model", "type": "categorical", "choices": [32, 64]},
        {"name": "model.head_width", "type": "int", "low": 64, "high": 65, "when": {"model.d_model": 32}},
    ]
    spec = spec_of(tmp_path, parameters=parameters)
    draws = drawn_configs(spec)
    assert len(draws) == 200
    for config in draws:
        assert all(
            p.contains(getattr(getattr(config, p.name.split(".")[0]), p.name.split(".")[1]))
            for p in spec.parameters[:5]
        )
        assert config.model.d_model == 32 or config.model.head_width == 64
    assert {config.model.window for config in draws} == {20, 40, 60, 80, 100}
    # half of a logarithmic range lies below its geometric mean, 0.001: 100 ± 4 standard deviations of 7.1
    assert 72 < sum(config.training.learning_rate < 0.001 for config in draws) < 128


def test_the_largest_config_is_as_large_as_can_be(tmp_path: Path) -> None:
    parameters = [
        {"name": "model.d_model", "type": "categorical", "choices": [64, 128, 32]},
        {"name": "training.n_epochs", "type": "int", "low": 2, "high": 8},
        {"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.01},
    ]
    spec = spec_of(tmp_path, parameters=parameters)
    largest = largest_config(spec)
    assert (largest.model.d_model, largest.training.n_epochs) == (128, 8)
    assert largest.training.learning_rate == spec.base.training.learning_rate
    assert all(work_of(config) <= work_of(largest) for config in drawn_configs(spec))


def test_disk_grows_with_trials(tmp_path: Path) -> None:
    one, two = (forecast(spec_of(tmp_path, n_trials=n)).disk_bytes for n in (1, 2))
    three = forecast(spec_of(tmp_path, n_trials=3)).disk_bytes
    assert two - one == three - two > 10_000
