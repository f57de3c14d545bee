"""Objectives of workers, and a parent, for which FXAI_TEST_GRACE_S stands in place of the minute of grace."""

import functools
import os

from fakes import opens_later

from fxai.study.database import budget
from fxai.study.workers import supervisor, worker
from fxai.study.workers.heart import Heart

GRACE_S = float(os.environ["FXAI_TEST_GRACE_S"])

budget.GRACE_PERIOD_S = GRACE_S
supervisor.LOOK_EVERY_S = GRACE_S / 4
worker.Heart = functools.partial(Heart, interval_s=GRACE_S / 4)

objective = opens_later
