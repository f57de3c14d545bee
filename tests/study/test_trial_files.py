"""learning_curve.csv and equity.csv: what they hold, how large they may be, and that a spreadsheet can open them."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxai.evaluate.curve import EquityCurve
from fxai.study.objective import Report
from fxai.study.trial_files import EQUITY, LEARNING_CURVE, MAX_BYTES, LearningCurve, trial_folder, write_equity


def report(step: int, metrics: dict[str, float] | None, **train: float) -> Report:
    return Report(step=step, total_steps=1000, env_steps=100 * step, metrics=metrics, train=train)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def curve(rows: int, instruments: dict[str, Any] | None = None) -> EquityCurve:
    own = {name: np.full(rows, value) for name, value in (instruments or {}).items()}
    one = np.linspace(1.0, 2.0, rows)
    return EquityCurve(bar_R=np.arange(rows), mean_R=one, low_R=one - 0.5, high_R=one + 0.5, instruments=own)


def test_a_row_per_report_and_empty_cells_where_nothing_was_told(tmp_path):
    learning = LearningCurve()
    learning.add(report(1, None, loss=0.5), 0.1234)
    learning.add(report(2, {"sharpe": 1.0 / 3.0, "n_trades": 7.0}, loss=float("nan")), 2.0)
    learning.write(tmp_path)
    assert (tmp_path / LEARNING_CURVE).read_text() == (
        "update,env_steps,seconds,sharpe,n_trades,loss\n1,100,0.12,,,0.5\n2,200,2,0.3333333,7,\n"
    )


def test_a_training_without_a_report_leaves_no_file(tmp_path):
    LearningCurve().write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_a_formula_is_text_and_an_evaluation_goes_before_a_loss_of_its_name(tmp_path):
    learning = LearningCurve()
    learning.add(report(1, {"=1+1": 2.0, "entropy": 3.0}, entropy=4.0), 0.0)
    learning.add(report(2, None, entropy=5.0), 0.0)
    learning.write(tmp_path)
    first, second = read(tmp_path / LEARNING_CURVE)
    assert first["'=1+1"] == "2"
    assert (first["entropy"], second["entropy"]) == ("3", "5")


def test_a_long_training_keeps_every_evaluation_and_stays_small(tmp_path):
    learning = LearningCurve()
    metrics = {f"metric_{i}": -1.0 / 3.0 for i in range(22)}
    losses = {f"loss_{i}": -2.0e-5 / 3.0 for i in range(9)}
    for step in range(1, 3001):
        learning.add(report(step, metrics if step % 20 == 0 else None, **losses), float(step))
    learning.write(tmp_path)
    path = tmp_path / LEARNING_CURVE
    # 150 evaluated rows of up to 34 × 13 bytes are 66,300; what is left of 100,000 holds some 180 of the other rows,
    # whose 22 empty cells take a byte each and the others 13: 178
    assert 60_000 < path.stat().st_size < MAX_BYTES
    rows = read(path)
    evaluated = [int(row["update"]) for row in rows if row["metric_0"]]
    assert evaluated == list(range(20, 3001, 20))
    assert int(rows[0]["update"]) == 1
    assert len(rows) > 150 + 100


def test_evaluations_alone_that_are_too_many_are_thinned_evenly(tmp_path):
    learning = LearningCurve()
    metrics = {f"metric_{i}": -1.0 / 3.0 for i in range(30)}
    for step in range(1, 2001):
        learning.add(report(step, metrics), float(step))
    learning.write(tmp_path)
    updates = [int(row["update"]) for row in read(tmp_path / LEARNING_CURVE)]
    # 33 cells × 13 bytes are 429 a row; 100,000 / 429 = 233
    assert len(updates) == 233
    assert (updates[0], updates[-1]) == (1, 2000)
    assert max(np.diff(updates)) - min(np.diff(updates)) <= 1
    assert (tmp_path / LEARNING_CURVE).stat().st_size < MAX_BYTES


def test_equity_has_a_column_per_instrument(tmp_path):
    write_equity(tmp_path, curve(3, {"EURUSD": 1.0, "=cmd": 1.5}))
    assert (tmp_path / EQUITY).read_text() == (
        "bar,mean,low,high,EURUSD,'=cmd\n0,1,0.5,1.5,1,1.5\n1,1.5,1,2,1,1.5\n2,2,1.5,2.5,1,1.5\n"
    )


@pytest.mark.parametrize("instruments", [0, 7, 60])
def test_equity_stays_small_with_many_instruments(tmp_path, instruments):
    write_equity(tmp_path, curve(257, {f"PAIR{i}": math.pi for i in range(instruments)}))
    assert (tmp_path / EQUITY).stat().st_size < MAX_BYTES
    rows = read(tmp_path / EQUITY)
    assert (rows[0]["bar"], rows[-1]["bar"]) == ("0", "256")
    # 64 cells × 13 bytes are 832 a row: 120 fit; with 11 cells all 257 do
    assert len(rows) == (120 if instruments == 60 else 257)


def test_a_file_is_replaced_and_leaves_no_other_behind(tmp_path):
    write_equity(tmp_path, curve(3))
    write_equity(tmp_path, curve(2))
    assert [path.name for path in tmp_path.iterdir()] == [EQUITY]
    assert len(read(tmp_path / EQUITY)) == 2


def test_a_trials_folder_has_its_number():
    assert trial_folder(Path("study"), 7) == Path("study/trials/0007")
    assert trial_folder(Path("study"), 12345) == Path("study/trials/12345")
