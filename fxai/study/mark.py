"""The mark of the process that runs a study, taken away when that process is dead."""

from __future__ import annotations

import json

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import bindparam, select

from fxai.study.outage import whole
from fxai.study.owner import Owner
from fxai.study.storage import writing

KEY = "orchestrator"
"""User attribute of a study: an Owner, or null when nobody runs it."""

_ATTRS: sqlalchemy.Table = models.StudyUserAttributeModel.__table__
_MARK = (_ATTRS.c.study_id == bindparam("of_study")) & (_ATTRS.c.key == KEY)
_SEEN = select(_ATTRS.c.value_json).where(_MARK)
_CLEAR = sqlalchemy.update(_ATTRS).where(_MARK, _ATTRS.c.value_json == bindparam("seen")).values(value_json="null")


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
