"""Curves read back from a trial's folder: what was written, and nothing from a file that is none."""

from __future__ import annotations

import math

import pytest

from fxai.report.curve_files import read_columns, read_plain
from fxai.study.objective import Report
from fxai.study.trial_files import LEARNING_CURVE, LearningCurve


def test_what_was_written_is_read(tmp_path):
    learned = LearningCurve()
    learned.add(Report(step=1, total_steps=2, metrics=None, train={"entropy": 1.5}), 1.0)
    learned.add(Report(step=2, total_steps=2, metrics={"sharpe": -0.25}, train={"entropy": 1.25}), 2.0)
    learned.write(tmp_path)
    columns = read_columns(tmp_path / LEARNING_CURVE)
    assert columns.names == ("update", "env_steps", "seconds", "sharpe", "entropy")
    assert columns.of("entropy") == (1.5, 1.25)
    assert math.isnan(columns.of("sharpe")[0])
    assert columns.points("update", "sharpe") == [(2.0, -0.25)]
    assert columns.points("update", "unknown") == []


@pytest.mark.parametrize(
    "text", ["", "a,b\n1\n", "a\nword\n", "a\n1\n2,3\n", "a\n\x00\n"], ids=["empty", "short", "word", "long", "nul"]
)
def test_what_is_no_table_is_none(tmp_path, text):
    (tmp_path / "curve.csv").write_text(text)
    assert read_columns(tmp_path / "curve.csv") is None


def test_only_a_regular_file_of_some_size_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    assert read_plain(path) == b"12345"
    assert read_plain(path, limit=4) is None
    assert read_plain(tmp_path / "link") is None
    assert read_plain(tmp_path) is None
    assert read_plain(tmp_path / "missing") is None
    assert read_plain(tmp_path / "nul\0") is None
