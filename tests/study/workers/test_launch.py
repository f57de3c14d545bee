"""What a run says at its start of the trials before it."""

from __future__ import annotations

import optuna
from optuna.trial import create_trial

from fxai.study.workers.launch import _best


def test_the_best_so_far_keeps_the_constraints() -> None:
    study = optuna.create_study(direction="maximize")
    assert _best(study) is None
    study.add_trial(create_trial(value=3.0, constraints={"min_trades": 4.0}))
    # Optuna raises where no trial is feasible; a resumed study must not
    assert _best(study) is None
    study.add_trial(create_trial(value=1.0, constraints={"min_trades": -2.0}))
    assert _best(study) == (1, 1.0)


def test_several_objectives_have_no_single_best() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(values=[1.0, 0.5]))
    assert _best(study) is None
