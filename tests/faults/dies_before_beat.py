"""The first worker that imports this is killed between its claim and the first beat of its thread."""

import os
import signal
from pathlib import Path

from fakes import quadratic

from fxai.study.workers.heart import Heart

_DONE = Path("died")


def _die(_heart: Heart, trial_id: int | None, *, beaten: bool = False) -> None:
    if trial_id is not None:
        _DONE.touch()
        os.kill(os.getpid(), signal.SIGKILL)


if not _DONE.exists():
    Heart.watch = _die  # type: ignore[method-assign]

objective = quadratic
