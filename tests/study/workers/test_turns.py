"""Drawing in turns, also where one worker was suspended in its turn."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from pathlib import Path

import pytest

from fxai.study.workers import turns
from fxai.study.workers.turns import LOCK_NAME, turn_to_draw


def test_one_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        waits.set()
        with turn_to_draw(tmp_path, "GridSampler"):
            order.append("second")

    with turn_to_draw(tmp_path, "GridSampler"):
        thread = threading.Thread(target=second)
        thread.start()
        waits.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_who_never_ends_its_turn_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(turns, "LONGEST_TURN_S", 0.05)
    handle = os.open(tmp_path / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with caplog.at_level(logging.WARNING), turn_to_draw(tmp_path, "GridSampler"):
        assert "its turn is over" in caplog.text
    os.close(handle)


def test_samplers_with_seeds_of_their_own_take_no_turns(tmp_path: Path) -> None:
    with turn_to_draw(tmp_path, "TPESampler"):
        assert list(tmp_path.iterdir()) == []
