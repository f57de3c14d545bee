"""A worker whose disk is full from its third trial on."""

import errno
import os
from collections.abc import Iterator

from fakes import quadratic

from fxai.study.objective import Report, TrialRequest

_real = os.fsync
_left = 2


def _fsync(handle: int) -> None:
    if _left <= 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _real(handle)


os.fsync = _fsync


def objective(request: TrialRequest) -> Iterator[Report]:
    """The fake of other tests, which counts its trials."""
    global _left
    _left -= 1
    yield from quadratic(request)
