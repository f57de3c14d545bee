"""Adds to the dashboard's answers what FxAI knows: a note for each trial and study, and their files as artifacts.

It stands between the guard and optuna-dashboard, reads the JSON that the pages ask for, and serves the files itself.
Notes are made when they are looked at: they know a trial's place among all others, and cost the database no row. One
that a person writes in the dashboard is kept in the database, and shown instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage

from fxai.dashboard.files import StudyFiles, mime_type
from fxai.dashboard.guard import FILE_POLICY, Environ, WsgiApp
from fxai.errors import FxaiError
from fxai.report.notes import Notebook, notebook, study_note
from fxai.report.outcome import outcome_of
from fxai.report.results import REPORT, sentences
from fxai.report.text import clean
from fxai.study.recorded import recorded_spec

_STUDY = re.compile(r"/api/studies/(\d{1,18})/?")
_FILE = re.compile(r"(/api)?/artifacts/(\d{1,18})(?:/(\d{1,18}))?/([A-Za-z0-9._-]*[g-zG-Z._][A-Za-z0-9._-]*)")
"""Names that no artifact of Optuna's has: those are hexadecimal digits and dashes."""

LONGEST_ATTR = 100
"""Characters shown of a user attribute: the page breaks no line of one, and metrics would make it 8,000 pixels wide."""


class Extras:
    """The middleware."""

    def __init__(self, app: WsgiApp, storage: BaseStorage, url: str, results_dir: Path) -> None:
        """Wrap `app`, which serves the studies of `storage`; `url` is its address."""
        self._app, self._storage, self._url, self._results_dir = app, storage, url, results_dir

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or add to the answer."""
        path = environ.get("PATH_INFO", "")
        reading = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        if match := _FILE.fullmatch(path):
            if match[1] or not reading:
                reason = json.dumps({"reason": "This file is part of the study's results folder."})
                return _answer(start_response, HTTPStatus.FORBIDDEN, "application/json", reason.encode())
            return self._file(start_response, int(match[2]), int(match[3]) if match[3] else None, match[4])
        if reading and (match := _STUDY.fullmatch(path)):
            return self._study(environ, start_response, int(match[1]))
        return self._app(environ, start_response)

    def _file(
        self, start_response: Callable[..., Any], study_id: int, trial_id: int | None, name: str
    ) -> Iterable[bytes]:
        try:
            study_name = self._storage.get_study_name_from_id(study_id)
            number = None if trial_id is None else self._storage.get_trial_number_from_id(trial_id)
        except KeyError:
            return _answer(start_response, HTTPStatus.NOT_FOUND, "text/plain", b"There is no such study or trial.\n")
        files = StudyFiles(study_name, self._results_dir)
        if number is None:
            data = files.study_file(name)
        else:
            book = self._notebook(study_name)
            default = book.outcome.default if book is not None else None
            metric = book.outcome.metric_names[0] if book is not None else "value"
            data = files.trial_file(number, name, metric, None if default is None else default.number)
        if data is None:
            return _answer(start_response, HTTPStatus.NOT_FOUND, "text/plain", b"There is no such file.\n")
        return _answer(start_response, HTTPStatus.OK, mime_type(name), data)

    def _study(self, environ: Environ, start_response: Callable[..., Any], study_id: int) -> Iterable[bytes]:
        """The study's JSON, with notes and files."""
        told: list[Any] = []

        def taken(status: str, headers: list[tuple[str, str]], *more: Any) -> None:
            told[:] = [status, headers]

        body = b"".join(self._app(environ, taken))
        status, headers = told
        if status.startswith("200") and body:
            detail = json.loads(body)
            self._add(detail, study_id)
            body = json.dumps(detail).encode()
        kept = [(key, value) for key, value in headers if key.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    def _add(self, detail: dict[str, Any], study_id: int) -> None:
        book = self._notebook(detail["name"])
        files = StudyFiles(detail["name"], self._results_dir)
        if book is not None:
            detail["best_trials"] = self._best(book, study_id)
        for own in [*detail["trials"], *detail["best_trials"]]:
            base = f"/artifacts/{study_id}/{own['trial_id']}"
            names = files.of_trial(own["number"])
            own["artifacts"] = [*map(_artifact, names), *own["artifacts"]]
            for attr in own["user_attrs"]:
                attr["value"] = clean(attr["value"], LONGEST_ATTR)
            if book is not None and own["note"]["version"] == 0 and own["number"] < len(book.outcome.trials):
                pictures = [(name, f"{base}/{name}") for name in names if name.endswith(".svg")]
                own["note"]["body"] = book.of_trial(book.outcome.trials[own["number"]], pictures)
        names = files.of_study()
        detail["artifacts"] = [*map(_artifact, names), *detail["artifacts"]]
        if book is not None and detail["note"]["version"] == 0:
            links = [("The whole report", f"/artifacts/{study_id}/{name}") for name in names if name == REPORT]
            detail["note"]["body"] = study_note(book.spec, book.outcome, self._sentences(book), links)

    def _best(self, book: Notebook, study_id: int) -> list[dict[str, Any]]:
        """The best trials as all other commands name them; the dashboard's own choice knows no constraints."""
        from optuna_dashboard._serializer import serialize_frozen_trial

        attrs = self._storage.get_study_system_attrs(study_id)
        return [dict(serialize_frozen_trial(study_id, trial, attrs)) for trial in book.outcome.front]

    def _sentences(self, book: Notebook) -> list[str]:
        study = self._load(book.spec.study_name)
        return sentences(study, book.spec, book.folder, book.outcome)

    def _notebook(self, study_name: str) -> Notebook | None:
        """None for a study that FxAI did not make."""
        study = self._load(study_name)
        try:
            spec = recorded_spec(study, self._url)
        except FxaiError:
            return None
        return notebook(spec, outcome_of(study, spec.metric_names), self._results_dir / study_name)

    def _load(self, study_name: str) -> optuna.Study:
        return optuna.load_study(study_name=study_name, storage=self._storage)


def _artifact(name: str) -> dict[str, Any]:
    return {"artifact_id": name, "filename": name, "mimetype": mime_type(name), "encoding": None}


def _answer(start_response: Callable[..., Any], status: HTTPStatus, mime: str, data: bytes) -> list[bytes]:
    text = mime.startswith("text/") or mime in ("application/json", "image/svg+xml")
    headers = [
        ("Content-Type", f"{mime}; charset=utf-8" if text else mime),
        ("Content-Length", str(len(data))),
        ("Content-Security-Policy", FILE_POLICY),
        ("Cache-Control", "no-cache"),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [data]
