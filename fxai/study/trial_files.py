"""What a trial leaves in its folder beside its config: learning_curve.csv, equity.csv, and until it ends checkpoints.

For people and spreadsheets: numbers in seven digits, nothing that a spreadsheet takes for a formula, and no file larger
than MAX_BYTES, however long the training was.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fxai.errors import InputError
from fxai.files import open_atomic

if TYPE_CHECKING:
    from fxai.evaluate.curve import EquityCurve
    from fxai.study.objective import Report

CHECKPOINT = "checkpoint.safetensors"
"""Of FxAI's own training."""

CHECKPOINTS = "checkpoint*"
"""Files of a trial from which the trial that repeats it goes on."""

LEARNING_CURVE = "learning_curve.csv"
EQUITY = "equity.csv"

MAX_BYTES = 100_000

TIME_COLUMNS = ("update", "env_steps", "seconds")
"""The first columns of a learning curve; metrics of the evaluations and the training's own figures follow."""

EQUITY_COLUMNS = ("bar", "mean", "low", "high")
"""The first columns of an equity curve; a column per instrument follows."""

_FORMULA = tuple("=+-@＝＋－＠")


def trial_folder(study_folder: Path, number: int) -> Path:
    """Where a trial's files are."""
    return study_folder / "trials" / f"{number:04d}"


def take_checkpoints(study_folder: Path, earlier: Iterable[int], number: int) -> None:
    """Move the checkpoints of the first of these trials that has any to the trial that repeats it.

    Args:
        study_folder: of the study.
        earlier: numbers of the trials that it repeats, the latest first.
        number: of the trial; checkpoints that lie in its folder are of some other study, and removed.

    Raises:
        InputError: one is a symbolic link, or lies behind one.
        OSError: they cannot be moved.
    """
    own = trial_folder(study_folder, number)
    _refuse_links(own)
    drop_checkpoints(own)
    for other in earlier:
        folder = trial_folder(study_folder, other)
        _refuse_links(folder)
        found = sorted(folder.glob(CHECKPOINTS))
        for path in found:
            _refuse_links(path)
        for path in found:
            os.replace(path, own / path.name)
        drop_checkpoints(folder)
        if found:
            return


def _refuse_links(path: Path) -> None:
    """A file of a trial, or its folder."""
    for part in (path, path.parent):
        if part.is_symlink():
            raise InputError("is a symbolic link; nothing is taken from one", where=str(part))


def drop_checkpoints(folder: Path) -> None:
    """Remove a trial's checkpoints, and what a write that was cut short has left; what cannot be removed stays."""
    if folder.is_symlink():
        return
    for pattern in (CHECKPOINTS, f".{CHECKPOINTS}.tmp"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()


def checkpoint_update(folder: Path) -> int | None:
    """The update of the checkpoint in a trial's folder, by its header alone; None where there is none to be read.

    Whether it fits the trial is for the training to find out.
    """
    path = folder / CHECKPOINT
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, MAX_BYTES)))["__metadata__"]
        return int(header["update"]) if str(header["format"]).startswith("fxai-snapshot-") else None
    except (OSError, KeyError, TypeError, ValueError):
        return None


class LearningCurve:
    """The reports of a training as a table, a row per report; what was not told at an update stays empty."""

    def __init__(self) -> None:
        self._rows: list[tuple[tuple[float, ...], Mapping[str, float], Mapping[str, float]]] = []

    def add(self, report: Report, elapsed_s: float) -> None:
        """Take a report, `elapsed_s` after the training's begin."""
        times = (report.step, report.env_steps, round(elapsed_s, 2))
        self._rows.append((times, report.metrics or {}, report.train))

    def write(self, folder: Path) -> None:
        """Replace the folder's learning curve; nothing without a report.

        Raises:
            InputError, StorageError: the file cannot be written.
        """
        if not self._rows:
            return
        metrics = dict.fromkeys(name for _, own, _ in self._rows for name in own)
        # a loss that has a metric's name has its column, where the metric is not told
        losses = dict.fromkeys(name for _, _, own in self._rows for name in own if name not in metrics)
        names = [*metrics, *losses]
        rows = [[*times, *map({**train, **own}.get, names)] for times, own, train in self._rows]
        evaluated = [bool(own) for _, own, _ in self._rows]
        write_table(folder / LEARNING_CURVE, [*TIME_COLUMNS, *names], _within(rows, evaluated))


def write_equity(folder: Path, curve: EquityCurve) -> None:
    """Replace the folder's equity curve.

    Raises:
        InputError, StorageError: the file cannot be written.
    """
    columns = [curve.mean_R, curve.low_R, curve.high_R, *curve.instruments.values()]
    table = zip(curve.bar_R.tolist(), *(column.tolist() for column in columns), strict=True)
    rows = [list(row) for row in table]
    write_table(folder / EQUITY, [*EQUITY_COLUMNS, *curve.instruments], _within(rows, [True] * len(rows)))


def _within(rows: list[list[float | None]], important: Sequence[bool]) -> list[list[float | None]]:
    """As many rows as fit into MAX_BYTES, evenly spread: first and last stay, and the important ones go last."""
    widest = 13  # of a cell: −1.234567e-05 and a comma
    if sum(map(len, rows)) * widest <= MAX_BYTES:
        return rows
    sizes = [sum(1 if cell is None else widest for cell in row) for row in rows]
    if sum(sizes) <= MAX_BYTES:
        return rows
    told = [i for i, keep in enumerate(important) if keep] or list(range(len(rows)))
    if sum(sizes[i] for i in told) <= MAX_BYTES:
        room = MAX_BYTES - sum(sizes[i] for i in told)
        others = sorted(set(range(len(rows))) - set(told))
        kept = sorted({*told, *_spread(others, room // max(sizes[i] for i in others))})
    else:
        kept = _spread(told, MAX_BYTES // max(sizes[i] for i in told))
    return [rows[i] for i in kept]


def _spread(items: Sequence[int], many: int) -> list[int]:
    """`many` of the items, evenly spread, the first and the last among them."""
    if many >= len(items):
        return list(items)
    if many < 2:
        return list(items[-many:]) if many else []
    return [items[round(i * (len(items) - 1) / (many - 1))] for i in range(many)]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[float | None]]) -> None:
    """Replace `path` by numbers under a header.

    Raises:
        InputError, StorageError: the file cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(
        [f"'{name}" if name.startswith(_FORMULA) else name for name in header]
    )
    text.writelines(map(_line, rows))
    with open_atomic(path, durable=False) as file:  # a power cut may cost a curve, not 10 ms of every trial
        file.write(text.getvalue().encode())


def _line(row: Sequence[float | None]) -> str:
    """A row of numbers, an empty cell for what is not finite or not told; a third of the csv module's time."""
    told = [value if value is not None and math.isfinite(value) else None for value in row]
    kinds = ["" if value is None else "%d" if isinstance(value, int) else "%.7g" for value in told]
    return ",".join(kinds) % tuple(value for value in told if value is not None) + "\n"
