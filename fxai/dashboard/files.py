"""The files that the dashboard shows of a trial and of a study, found by name in the study's results folder.

Nothing is copied and nothing is recorded in the database: a folder that was moved is shown from where it is
(`--results-dir`), and a trial costs its worker nothing. Pictures and the table of settings are drawn when asked for.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fxai.report import trial_files as drawn
from fxai.report.curve_files import read_plain
from fxai.report.results import BEST_PARAMS, REPORT, RULER
from fxai.study.names import name_fault
from fxai.study.trial_files import EQUITY, LEARNING_CURVE, trial_folder

MAX_BYTES = 64 * 1024 * 1024

_DRAWN = {
    drawn.LEARNING_PICTURE: LEARNING_CURVE,
    drawn.EQUITY_PICTURE: EQUITY,
    drawn.CONFIG_TABLE: drawn.CONFIG,
}
"""What is drawn → the file that it is drawn from."""

_OF_A_TRIAL = (*_DRAWN, LEARNING_CURVE, EQUITY, drawn.CONFIG)


@dataclass(frozen=True, slots=True)
class StudyFiles:
    """One study's folder."""

    study_name: str
    results_dir: Path

    @property
    def folder(self) -> Path | None:
        """The folder; None where there is none, or the study's name is no name of a folder."""
        if name_fault(self.study_name):
            return None
        folder = self.results_dir / self.study_name
        return folder if folder.is_dir() and not folder.is_symlink() else None

    def of_trial(self, number: int) -> list[str]:
        """Names of what there is to show of a trial."""
        folder = self.folder
        if folder is None:
            return []
        try:
            there = set(os.listdir(trial_folder(folder, number)))
        except OSError:
            return []
        return [name for name in _OF_A_TRIAL if _DRAWN.get(name, name) in there]

    def of_study(self) -> list[str]:
        """Names of what there is to show of the study."""
        folder = self.folder
        if folder is None:
            return []
        names = (REPORT, BEST_PARAMS, f"{self.study_name}_best_config.yaml", f"{self.study_name}_results.json", RULER)
        return [name for name in names if (folder / name).is_file()]

    def study_file(self, name: str) -> bytes | None:
        """The content of one of `of_study`."""
        folder = self.folder
        return read_plain(folder / name, MAX_BYTES) if folder is not None and name in self.of_study() else None

    def trial_file(self, number: int, name: str, metric: str, default: int | None) -> bytes | None:
        """The content of one of `of_trial`.

        Args:
            number: of the trial.
            name: of the file.
            metric: whose learning curve is drawn.
            default: number of the trial of the default config, drawn beside it.
        """
        study = self.folder
        if study is None or name not in self.of_trial(number):
            return None
        folder = trial_folder(study, number)
        other = trial_folder(study, default) if default is not None and default != number else None
        draw: dict[str, Callable[[], str | None]] = {
            drawn.LEARNING_PICTURE: lambda: drawn.learning_picture(folder, metric, other),
            drawn.EQUITY_PICTURE: lambda: drawn.equity_picture(folder, other),
            drawn.CONFIG_TABLE: lambda: drawn.config_table(folder, study / RULER),
        }
        if name not in draw:
            return read_plain(folder / name, MAX_BYTES)
        text = draw[name]()
        return None if text is None else text.encode()


def mime_type(name: str) -> str:
    """Of a file by its name; text of any kind is shown and not downloaded."""
    if name.endswith((".yaml", ".yml")):
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
