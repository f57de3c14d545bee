from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.trial import create_trial

from fxai.report.insights.sample import BLOCK, blocks, centred, position, sample_of, shuffled, value_at
from fxai.report.outcome import outcome_of
from fxai.study.space import Parameter

RATE = Parameter(name="training.learning_rate", type="float_log", low=0.0001, high=0.01)
EPOCHS = Parameter(name="training.n_epochs", type="int", low=2, high=10, step=2)
WIDTH = Parameter(name="model.d_model", type="categorical", choices=(32, 64, 128))
FLAG = Parameter(name="env.reward.enable_pnl", type="categorical", choices=(True, False))


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [
        (RATE, 0.001, 0.5),  # log10: −4, −3, −2
        (RATE, 0.02, math.nan),
        (EPOCHS, 4, 0.25),  # (4 − 2) / (10 − 2)
        (WIDTH, 128, 2.0),
        (WIDTH, 1, math.nan),
        (FLAG, 1, math.nan),  # true is not 1
        (RATE, None, math.nan),
    ],
    ids=str,
)
def test_positions_are_on_the_parameters_own_scale(parameter: Parameter, value: object, place: float) -> None:
    assert position(parameter, value) == pytest.approx(place, nan_ok=True)


def test_a_position_leads_back_to_its_value() -> None:
    assert value_at(RATE, position(RATE, 0.0007)) == pytest.approx(0.0007)
    assert value_at(EPOCHS, 1.25) == 12.0  # 2 + 1.25 × 8: outside, as a wider range would have it


def study_of(direction: str, *trials: tuple[float, dict[str, object]]) -> optuna.Study:
    study = optuna.create_study(direction=direction)
    for value, how in trials:
        study.add_trial(create_trial(value=value, **how))  # type: ignore[arg-type]
    return study


def test_ranks_put_trials_that_broke_off_or_break_a_constraint_last() -> None:
    broken = {"user_attrs": {"failure": "loss is not finite"}}
    study = study_of(
        "maximize", (1.0, {}), (9.0, {"constraints": {"min_trades": 1.0}}), (2.0, {}), (8.0, broken), (1.0, {})
    )
    sample = sample_of(outcome_of(study, ("mean_reward",)), [])
    # by value 2, 1 = 1, then of those that do not count 9, 8
    np.testing.assert_array_equal(sample.rank_N, [1, 2, 0, 3, 1])
    np.testing.assert_array_equal(sample.loss_N, [-1, -9, -2, -8, -1])
    assert [trial.number for trial in sample.sound.trials] == [0, 2, 4]


def test_the_top_includes_ties_with_its_last() -> None:
    sample = sample_of(
        outcome_of(study_of("minimize", *((v, {}) for v in (3.0, 1.0, 2.0, 1.0, 5.0))), ("max_drawdown",)), []
    )
    assert sample.top(0.2).tolist() == [False, True, False, True, False]  # one of five, and its equal
    assert sample.top(0.6).sum() == 3


def test_blocks_take_a_short_rest_into_the_last() -> None:
    assert blocks(5) == [0]
    assert blocks(2 * BLOCK) == [0, BLOCK]
    assert blocks(3 * BLOCK - 1) == [0, BLOCK]


def test_centred_in_each_block() -> None:
    values = np.r_[np.full(BLOCK, 3.0), np.arange(BLOCK)][:, None]
    rest = centred(values)[:, 0]
    np.testing.assert_allclose(rest[:BLOCK], 0.0)
    np.testing.assert_allclose(rest[BLOCK:], np.arange(BLOCK) - (BLOCK - 1) / 2.0)


def test_a_shuffle_stays_within_blocks() -> None:
    values = np.arange(2.0 * BLOCK)
    copies = shuffled(values, 50, seed=1)
    for start in (0, BLOCK):
        np.testing.assert_array_equal(
            np.sort(copies[:, start : start + BLOCK], axis=1)[7], values[start : start + BLOCK]
        )
    assert len(np.unique(copies, axis=0)) == 50


def test_a_long_study_is_thinned_by_whole_blocks() -> None:
    study = study_of("maximize", *((float(i), {}) for i in range(5 * BLOCK + 3)))
    numbers = [trial.number for trial in sample_of(outcome_of(study, ("mean_reward",)), []).thinned(3 * BLOCK).trials]
    # five whole blocks; the first, the third and the fifth stay
    assert numbers == [*range(BLOCK), *range(2 * BLOCK, 3 * BLOCK), *range(4 * BLOCK, 5 * BLOCK)]
