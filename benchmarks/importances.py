"""How well importances name what matters: FxAI's beside Optuna's default, on studies whose truth is known.

    python benchmarks/importances.py

Two of the parameters decide, one of them mostly, the others do nothing. Seconds are processor time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna

from fxai.report.insights.importance import measure
from fxai.report.insights.sample import sample_of
from fxai.report.outcome import outcome_of
from fxai.study.space import Parameter, suggest

Value = Callable[[Mapping[str, Any]], float]
TRUE = ("p.x0", "p.x2")


def parameters(many: int) -> tuple[Parameter, ...]:
    """Ranges of all kinds in turn."""
    kinds: list[dict[str, Any]] = [
        {"type": "float", "low": 0.0, "high": 1.0},
        {"type": "float", "low": 0.0, "high": 1.0},
        {"type": "float_log", "low": 1e-5, "high": 1e-2},
        {"type": "int", "low": 1, "high": 8},
        {"type": "categorical", "choices": ["a", "b", "c"]},
    ]
    return tuple(Parameter(name=f"p.x{i}", **kinds[i % 5]) for i in range(many))


def two_matter(params: Mapping[str, Any]) -> float:
    return -3.0 * (params["p.x0"] - 0.8) ** 2 - 0.5 * abs(math.log10(params["p.x2"]) + 3.0)


def study_of(many: int, trials: int, value: Value, noise: float, sampler: str, seed: int) -> optuna.Study:
    kinds = {"TPE": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(direction="maximize", sampler=kinds[sampler](seed=seed))
    generator, space = np.random.default_rng(seed), parameters(many)
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, value(suggest(trial, space)) + noise * generator.standard_normal())
    return study


def compared(many: int, trials: int, value: Value, noise: float, sampler: str, studies: int) -> None:
    ours, optunas, found, false = 0, 0, 0, 0
    for seed in range(studies):
        study, space = study_of(many, trials, value, noise, sampler, seed), parameters(many)
        optunas += next(iter(optuna.importance.get_param_importances(study))) in TRUE
        measured = measure(sample_of(outcome_of(study, ("value",)), space))
        assert measured is not None
        ours += space[int(measured.share_P.argmax())].name in TRUE
        clear = {p.name for p, own in zip(space, measured.clear_P, strict=True) if own}
        found += len(clear & set(TRUE))
        false += bool(clear - set(TRUE))
    what = "nothing matters" if value is not two_matter else "two matter"
    print(
        f"{what:<16}{many:>3} parameters {trials:>4} trials {sampler:<7}"
        f" first is a true one: FxAI {ours / studies:4.0%}, Optuna {optunas / studies:4.0%};"
        f" clear: true ones {found / studies / 2:4.0%}, a false one in {false / studies:4.0%} of {studies} studies"
    )


def timed(many: int, trials: int) -> None:
    study, space = study_of(many, trials, two_matter, 0.3, "random", 0), parameters(many)
    outcome = outcome_of(study, ("value",))
    start = time.process_time()
    measure(sample_of(outcome, space))
    ours = time.process_time() - start
    start = time.process_time()
    optuna.importance.get_param_importances(study)
    print(f"{many} parameters, {trials:>5} trials: FxAI {ours:.2f} s, Optuna {time.process_time() - start:.2f} s")


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for many, trials, noise, sampler in (
        (7, 30, 0.15, "TPE"),
        (7, 60, 0.15, "TPE"),
        (7, 60, 0.15, "random"),
        (25, 100, 0.3, "TPE"),
    ):
        compared(many, trials, two_matter, noise, sampler, 20)
    for many, trials in ((7, 40), (25, 60)):
        compared(many, trials, lambda _: 0.0, 1.0, "TPE", 40)
    for trials in (200, 1000, 10_000):
        timed(25, trials)


if __name__ == "__main__":
    main()
