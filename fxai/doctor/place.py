"""Where the doctor looks: databases, results, port and the spec that named them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from fxai import defaults
from fxai.doctor.finding import Finding, of_error
from fxai.errors import FxaiError
from fxai.secrets import redact_url
from fxai.study.spec import SpecFile, StudySpec, load_specs


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is looked at."""

    urls: tuple[str, ...] = (defaults.STORAGE,)
    results_dir: Path = Path(defaults.RESULTS)
    port: int = defaults.DASHBOARD_PORT
    spec: SpecFile | None = None
    by_hand: bool = False
    """Whether the database was named on the command line: then it has to be there."""

    options: str = ""
    """What the doctor was given, to be typed again."""

    findings: tuple[Finding, ...] = field(default=())
    """What was already met on the way."""

    @property
    def studies(self) -> tuple[StudySpec, ...]:
        """Of the spec; none without one."""
        return () if self.spec is None else self.spec.studies


def find_place(spec_path: Path | None, storage: str | None, results_dir: Path | None) -> Place:
    """What is not said on the command line, the spec says, else the defaults.

    With a spec that cannot be read no other database is looked at: what is repaired must be what was meant.
    """
    spec: SpecFile | None = None
    met: list[Finding] = []
    urls: tuple[str, ...] = (defaults.STORAGE,)
    if spec_path is not None:
        try:
            spec = load_specs(spec_path)
            urls = tuple(dict.fromkeys(study.storage for study in spec.studies))
        except FxaiError as error:
            met, urls = [of_error("spec", error, f"poe optuna-lint {shlex.quote(str(spec_path))}")], ()
    return Place(
        urls=urls if storage is None else (storage,),
        results_dir=results_dir or (Path(defaults.RESULTS) if spec is None else spec.results_dir),
        port=defaults.DASHBOARD_PORT if spec is None else spec.dashboard_port,
        spec=spec,
        by_hand=storage is not None,
        options=_options(spec_path, storage, results_dir),
        findings=tuple(met),
    )


def _options(spec_path: Path | None, storage: str | None, results_dir: Path | None) -> str:
    given = {
        "--spec": spec_path,
        "--storage": None if storage is None else redact_url(storage),
        "--results-dir": results_dir,
    }
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)
