"""All checks in their order. One that fails is a finding, and the others go on."""

from __future__ import annotations

import importlib

from fxai.doctor.finding import Finding, of_error, wrong
from fxai.doctor.packages import INSTALL
from fxai.doctor.place import Place
from fxai.errors import FxaiError
from fxai.secrets import redact

CHECKS = {
    "packages": "fxai.doctor.packages",
    "torch": "fxai.doctor.gpus",
    "cores": "fxai.doctor.machine",
    "database": "fxai.doctor.stored",
    "disk": "fxai.doctor.disk",
    "locks": "fxai.doctor.folders",
    "secrets": "fxai.doctor.secrets",
    "W&B": "fxai.doctor.wandb",
    "dashboard": "fxai.doctor.port",
}
"""Name → module, whose `check` is given the place; imported when it is its turn, for a package may be missing."""


def examine(place: Place) -> list[Finding]:
    """Look at everything; nothing is written."""
    return [*place.findings, *(one for name, module in CHECKS.items() for one in _carried_out(name, module, place))]


def _carried_out(name: str, module: str, place: Place) -> list[Finding]:
    try:
        return list(importlib.import_module(module).check(place))
    except FxaiError as error:
        return [of_error(name, error, "mend this, and look again")]
    except ImportError as error:
        return [wrong(name, f"could not be looked at: {error}", INSTALL)]
    except OSError as error:
        return [wrong(name, f"could not be looked at: {redact(str(error))}", "mend this, and look again")]
