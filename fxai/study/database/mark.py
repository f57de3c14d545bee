"""The mark of the process that leads a study: who it is, a beat while it lives, taken away when it is dead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import bindparam, select

from fxai.study.database.outage import whole
from fxai.study.database.storage import writing
from fxai.study.owner import ORCHESTRATOR, Owner

BEAT = "orchestrator_beat"
"""User attribute of a study: a number that grows while whoever leads it lives."""

BEAT_S = 10.0
LIVES_S = 30.0
"""Three beats: a leader on another host whose number has not grown for so long is taken to be dead."""

_ATTRS: sqlalchemy.Table = models.StudyUserAttributeModel.__table__
_MARK = (_ATTRS.c.study_id == bindparam("of_study")) & (_ATTRS.c.key == ORCHESTRATOR)
_SEEN = select(_ATTRS.c.value_json).where(_MARK)
_CLEAR = sqlalchemy.update(_ATTRS).where(_MARK, _ATTRS.c.value_json == bindparam("seen")).values(value_json="null")


def beats_elsewhere(storage: RDBStorage, study_id: int, holder: Owner, tell: Callable[[str], None]) -> bool:
    """Whether a study's leader on another host lives; a process of this host is asked directly, and this is False.

    No clock of another host is read: what counts is whether the number grows while we watch.

    Args:
        storage: the study's database.
        study_id: Optuna's id of the study.
        holder: who leads it by its mark.
        tell: is told that this takes a while.
    """
    if holder.is_of_this_host():
        return False
    tell(f"{holder} led this study: waiting up to {LIVES_S:g} s to see whether it still does")
    first = storage.get_study_user_attrs(study_id).get(BEAT)
    deadline = time.monotonic() + LIVES_S
    while time.monotonic() < deadline:
        time.sleep(LIVES_S / 60)
        attrs = storage.get_study_user_attrs(study_id)
        if attrs.get(BEAT) != first:
            return True
        if Owner.from_dict(attrs.get(ORCHESTRATOR)) != holder:
            return False
    return False


def clear_dead_mark(storage: RDBStorage, study_id: int) -> Owner | None:
    """Take away the mark of a process of this host that has died.

    A run that starts meanwhile writes another mark, which this leaves alone.

    Args:
        storage: the study's database.
        study_id: Optuna's id of the study.

    Returns:
        The dead process, or None where there was nothing to do.
    """

    def clear(_again: bool) -> Owner | None:
        with writing(storage) as connection:
            seen = connection.execute(_SEEN, {"of_study": study_id}).scalar_one_or_none()
            told = None if seen is None else json.loads(seen)
            holder = Owner.from_dict(told) if isinstance(told, dict) else None
            if holder is None or not holder.is_known_dead():
                return None
            changed = connection.execute(_CLEAR, {"of_study": study_id, "seen": seen})
            return holder if changed.rowcount else None

    return whole(clear)
