"""All checks in their order. One that fails is a finding, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fxai.doctor import database, disk, folders, gpus, machine, packages, port, secrets, trials, wandb
from fxai.doctor.finding import Finding, of_error, wrong
from fxai.doctor.place import Place
from fxai.doctor.snapshot import Snapshot, take
from fxai.errors import FxaiError
from fxai.secrets import redact

Check = Callable[[Place], Iterable[Finding]]

MACHINE: dict[str, Check] = {
    "packages": packages.check,
    "torch": gpus.check,
    "cores": machine.check,
}
STUDIES: dict[str, Check] = {
    "disk": disk.check,
    "locks": folders.check,
    "secrets": secrets.check,
    "W&B": wandb.check,
    "dashboard": port.check,
}


def examine(place: Place) -> list[Finding]:
    """Look at everything; nothing is written."""
    read = {url: take(url) for url in place.urls}
    snapshots = [found for found in read.values() if isinstance(found, Snapshot)]
    checks = {
        **MACHINE,
        "database": lambda place: database.check(place, read),
        "trials": lambda place: trials.check(place, snapshots),
        **STUDIES,
    }
    return [*place.findings, *(one for name, check in checks.items() for one in _carried_out(name, check, place))]


def _carried_out(name: str, check: Check, place: Place) -> list[Finding]:
    try:
        return list(check(place))
    except FxaiError as error:
        return [of_error(name, error, "mend this, and look again")]
    except OSError as error:
        return [wrong(name, f"could not be looked at: {redact(str(error))}", "mend this, and look again")]
