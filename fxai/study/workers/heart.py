"""Proof of life of a running trial: a thread that writes a beat and never gives up."""

from __future__ import annotations

import logging
import threading

from optuna.storages import RDBStorage

from fxai.secrets import redact
from fxai.study.database.storage import HEARTBEAT_INTERVAL_S

RETRY_S = 1.0

log = logging.getLogger("fxai.worker")


class Heart:
    """Beats for one trial at a time, until the process ends. Optuna's own thread dies with the first failed beat."""

    def __init__(self, storage: RDBStorage, interval_s: float = HEARTBEAT_INTERVAL_S, retry_s: float = RETRY_S) -> None:
        self._storage = storage
        self._interval_s = interval_s
        self._retry_s = retry_s
        self._trial_id: int | None = None
        self._beaten = False
        self._failing = False
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def watch(self, trial_id: int | None, *, beaten: bool = False) -> None:
        """Beat for this trial from now on, at once and then at intervals; None rests.

        Args:
            trial_id: Optuna's id of the trial.
            beaten: the trial has its first beat already, as after a claim: the next one comes after an interval.
        """
        with self._changed:
            self._trial_id = trial_id
            self._beaten = beaten
            self._changed.notify()

    def close(self, timeout_s: float | None = None) -> None:
        """End the thread; a beat that has begun is waited for, no longer than `timeout_s`."""
        with self._changed:
            self._trial_id, self._ended = None, True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._trial_id is None and not self._ended:
                    self._changed.wait()
                if self._trial_id is None:
                    return
                trial_id, beaten, self._beaten = self._trial_id, self._beaten, False
            wait_s = self._interval_s if beaten or self._beat(trial_id) else self._retry_s
            with self._changed:
                if self._trial_id == trial_id:
                    self._changed.wait(wait_s)

    def _beat(self, trial_id: int) -> bool:
        try:
            self._storage.record_heartbeat(trial_id)
        except Exception as error:  # whatever it was, the next beat may succeed
            if not self._failing:  # once, not with every try
                log.warning("no heartbeat for trial id %d: %s", trial_id, redact(" ".join(str(error).split())))
            self._failing = True
            return False
        if self._failing:
            log.warning("heartbeats go on")
        self._failing = False
        return True
