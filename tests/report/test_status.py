"""What `status` says of every kind of study, at every width, and that looking changes nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import optuna
import pytest
from report.databases import add_study, opened, recorded, run_trial, url_of

from fxai import defaults
from fxai.errors import InputError
from fxai.report.standing import Place, Standing, standings
from fxai.report.status import print_status
from fxai.report.terminal import make_console
from fxai.study.database.reader import reading
from fxai.study.owner import Owner
from fxai.study.presets import Preset, presets

ALIVE = Owner.current()
DEAD = Owner(ALIVE.host, ALIVE.pid, 1, ALIVE.pid_namespace)
"""A process id that another process has by now."""

ELSEWHERE = Owner("another-host", 7, 3, None)


def preset(study: str, phase: int | None, inherits: tuple[str, ...] = (), n_trials: int = 4) -> Preset:
    command = f"poe run-{study}"
    return Preset(
        study=study,
        file=Path("specs") / f"{study}.yaml",
        command=command,
        n_trials=n_trials,
        storage="sqlite:///x.db",
        phase=phase,
        inherits=inherits,
    )


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def stand(database: Path, *offered: Preset, results: Path | None = None) -> dict[str, Standing]:
    url = url_of(database)
    place = Place(
        storage=url, results_dir=results or database.parent / "results", presets={p.study: p for p in offered}
    )
    with reading(url) as reader:
        return {one.study: one for one in standings(reader, place)}


def options(database: Path) -> str:
    return f" --storage {url_of(database)} --results-dir {database.parent / 'results'}"


def test_a_finished_study(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "done", [0.1, 0.5], pruned=1, failed=1, spec=recorded("done"))
    one = stand(database)["done"]
    # 2 complete, 1 pruned, 1 failed: 4 of 4; trial 1 has 0.5
    assert (one.state, one.finished, one.n_trials) == ("finished", 4, 4)
    assert one.trials == {"complete": 2, "pruned": 1, "fail": 1}
    assert (one.metric, one.direction, one.best, one.best_trial) == ("mean_reward", "maximize", 0.5, 1)
    assert one.eta_s is None
    assert one.next == f"poe optuna-confirm done{options(database)}"
    folder = database.parent / "results" / "done"
    folder.mkdir(parents=True)
    path = folder / "confirmation.json"
    path.write_text('{"study": "done", "trial": 0, "data_hash": "bars"}')  # of a trial that was the best once
    assert stand(database)["done"].next == f"poe optuna-confirm done{options(database)}"
    path.write_text('{"study": "done", "trial": 1, "data_hash": "bars"}')
    assert stand(database)["done"].next == f"poe optuna-best done{options(database)}"


def test_a_best_trial_with_too_few_trades_is_said_to_have_them(database: Path) -> None:
    """Where no trial keeps the constraint one of them is best all the same, and nobody should take it for good."""
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "idle", [0.1, 0.5], spec=recorded("idle"), constraints={"min_trades": 3.0})
        add_study(storage, "busy", [0.1, 0.5], spec=recorded("busy"), constraints={"min_trades": -3.0})
    found = stand(database)
    assert (found["idle"].feasible, found["busy"].feasible) == (False, True)
    print_status(url_of(database), console=make_console(stream := io.StringIO(), 200))
    rows = [line for line in stream.getvalue().splitlines() if line.startswith(("idle", "busy"))]
    assert ["(trial 1, too few trades)" in row for row in rows] == [True, False]


def test_where_the_default_is_best_there_is_nothing_to_confirm(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "done", [0.5, 0.1], pruned=1, failed=1, spec=recorded("done"))
    assert stand(database)["done"].next == f"poe optuna-best done{options(database)}"


def test_the_age_of_the_last_activity(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "old", [0.1, 0.5], spec=recorded("old"), start=datetime.now() - timedelta(hours=5))
    idle = stand(database)["old"].idle_s
    # two minutes of trials that began five hours ago: 4:58 ago, and what this test took since
    assert idle is not None
    assert 0 <= idle - (5 * 3600 - 120) < 600


@pytest.mark.parametrize(
    ("owner", "state", "alive"),
    [(ALIVE, "running", True), (DEAD, "interrupted", False), (ELSEWHERE, "running", True)],
    ids=["alive", "dead", "elsewhere"],
)
def test_a_running_trial_counts_while_its_worker_lives(database: Path, owner: Owner, state: str, alive: bool) -> None:
    with opened(url_of(database), create=True) as storage:
        study = add_study(storage, "now", [0.1], spec=recorded("now"))
        run_trial(storage, study, owner)
    one = stand(database)["now"]
    assert one.state == state
    assert [(runner.trial, runner.who, runner.alive) for runner in one.runners] == [(1, str(owner), alive)]
    assert (one.eta_s is not None) == (state == "running")


def test_a_worker_elsewhere_without_a_beat_is_gone(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        study = add_study(storage, "now", [0.1], spec=recorded("now"))
        run_trial(storage, study, ELSEWHERE)
        with storage.engine.begin() as connection:  # the last beat was long ago
            connection.exec_driver_sql("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
    one = stand(database)["now"]
    assert (one.state, one.runners[0].alive) == ("interrupted", False)


def test_the_eta_is_what_is_left_at_the_pace_of_the_last_trials(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        study = add_study(storage, "now", [0.1, 0.2], spec=recorded("now", n_trials=10))
        run_trial(storage, study, ALIVE)
        run_trial(storage, study, ALIVE)
    eta = stand(database)["now"].eta_s
    # 8 of 10 are left at 60 s each, by two workers that have just begun: 240 s, less what this test took
    assert eta is not None
    assert 180 <= eta <= 240


def test_between_two_trials_the_holder_tells_that_it_runs(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        study = add_study(storage, "now", [0.1], spec=recorded("now"))
        study.set_user_attr("orchestrator", ALIVE.as_dict())
        study = add_study(storage, "killed", [0.1], spec=recorded("killed"))
        study.set_user_attr("orchestrator", DEAD.as_dict())
    found = stand(database)
    assert (found["now"].state, found["killed"].state) == ("running", "interrupted")
    assert found["now"].next == f"poe optuna-dashboard{options(database)}"


def test_what_resumes_an_interrupted_study(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "mine", [0.1], spec=recorded("mine"))
        add_study(storage, "theirs", [0.1], spec=recorded("theirs"))
        add_study(storage, "short", [0.1], spec=recorded("short", n_trials=3))
        add_study(storage, "short-2", [0.1], spec=recorded("short-2", n_trials=3))
    found = stand(database, preset("theirs", None), preset("short", None))
    assert found["mine"].next == f"poe optuna-run --spec FILE{options(database)}"
    assert found["theirs"].next == f"poe run-theirs{options(database)}"
    # it was run with --n-trials 3, and the file says 4
    assert found["short"].next == f"poe run-short --n-trials 3{options(database)}"
    # --new-study would begin short-3
    again = "poe optuna-run --spec specs/short.yaml --study-name short-2 --n-trials 3"
    assert found["short-2"].next == f"{again}{options(database)}"


def test_studies_of_other_programs_and_without_trials(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "theirs", [0.1, float("inf")])
        add_study(storage, "empty", spec=recorded("empty"))
        study = add_study(storage, "queued", spec=recorded("queued"))
        study.enqueue_trial({"model.d_model": 64})
        add_study(storage, "failed", spec=recorded("failed"), failed=4)
        add_study(storage, "odd").set_user_attr("spec", ["no", "spec"])
    found = stand(database)
    assert (found["theirs"].state, found["theirs"].best, found["theirs"].next) == ("not FxAI's", 0.1, None)
    assert (found["empty"].state, found["empty"].trials) == ("not started", {})
    assert (found["queued"].state, found["queued"].trials) == ("not started", {"waiting": 1})
    assert (found["failed"].state, found["failed"].best) == ("finished", None)
    assert found["odd"].state == "not FxAI's"


PHASES = (preset("one", 1), preset("two", 2, ("one",)), preset("three", 3, ("one", "two")))


def test_phases_that_do_not_exist_say_what_they_wait_for(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "other", [0.1], spec=recorded("other"))
        one = add_study(storage, "one", [0.1, 0.2, 0.3], spec=recorded("one", phase=1))
    found = stand(database, *PHASES)
    assert list(found) == ["one", "two", "three", "other"]
    states = {name: standing.state for name, standing in found.items()}
    assert states == {"one": "interrupted", "two": "waits", "three": "waits", "other": "interrupted"}
    assert found["two"].next is None

    with opened(url_of(database)) as storage:  # the fourth trial ends phase 1
        one = optuna.load_study(study_name="one", storage=storage)
        one.tell(one.ask(), 0.4)
    found = stand(database, *PHASES)
    assert (found["two"].state, found["two"].next) == (
        "needs transfer",
        f"poe optuna-transfer-1to2{options(database)}",
    )
    assert found["three"].state == "waits"  # for phase 2

    folder = database.parent / "results" / "two"
    folder.mkdir(parents=True)
    (folder / "inherited.yaml").write_text("{}")
    found = stand(database, *PHASES)
    assert (found["two"].state, found["two"].next) == ("not started", f"poe run-two{options(database)}")


def test_in_another_database_phases_are_not_spoken_of(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "other", [0.1], spec=recorded("other"))
    assert list(stand(database, *PHASES)) == ["other"]


def test_the_phases_of_the_project_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    found = presets()
    phases = [(p.study, p.phase, p.command) for p in found.values() if p.phase is not None]
    assert phases == [
        ("fx_ai_foundation", 1, "poe optuna-foundation"),
        ("fx_ai_reward", 2, "poe optuna-reward"),
        ("fx_ai_finetune", 3, "poe optuna-finetune"),
    ]
    assert found["fx_ai_demo"].command == "poe optuna-demo"
    assert all(p.storage == defaults.STORAGE for p in found.values())


def test_a_broken_spec_file_offers_nothing(tmp_path: Path) -> None:
    texts = {
        "broken": "studies: [",
        "list": "[]",
        "empty": "",
        "names": "studies: [{study_name: '../x'}, {}]",
        "odd": "studies: [{study_name: odd, n_trials: many, phase: first, inherits: 3}]",
        "several": "studies: [{study_name: a}, {study_name: b}]",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    found = presets(tmp_path)
    assert {name: p.command for name, p in found.items()} == {
        "odd": "poe optuna-study odd",
        "a": "poe optuna-study a",
        "b": "poe optuna-study b",
    }
    assert (found["odd"].n_trials, found["odd"].phase, found["odd"].inherits) == (None, None, ())
    assert presets(tmp_path / "nowhere") == {}


HOSTILE = "evil\x1b[31m\u202e<b>"


@pytest.fixture
def full(database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(database.parent)  # the project's folder offers phases
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "fx_ai_foundation", [0.1, 0.5], pruned=2, spec=recorded("fx_ai_foundation", phase=1))
        study = add_study(storage, "a" * 64, [0.1], spec=recorded("a" * 64))
        for _ in range(3):
            run_trial(storage, study, ALIVE)
        add_study(storage, HOSTILE, [0.1])
    return database


Shown = Callable[[int], str]


@pytest.fixture
def shown(full: Path) -> Shown:
    def show(width: int) -> str:
        stream = io.StringIO()
        print_status(url_of(full), full.parent / "results", console=make_console(stream, width))
        return stream.getvalue()

    return show


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_is_lost_or_dangerous_at_any_width(shown: Shown, width: int) -> None:
    text = shown(width)
    body, commands = text.split("\nnext\n")
    assert max(map(len, body.splitlines())) <= width
    joined = "".join(body.split())
    assert "\x1b" not in text
    assert "\u202e" not in text
    # words may be broken over lines of a cell, but those of the narrow form are whole
    for word in ("finished", "running", "notFxAI's") if width == 200 else ("finished", "running"):
        assert word in joined
    if width < 100:
        assert "fx_ai_foundation (phase 1): finished" in body
        assert "2 complete, 2 pruned" in body
        assert "run by 3 workers" in body
        assert "evil\\x1b[31m\\u202e<b>: not FxAI's" in body
    assert "poe optuna-confirm fx_ai_foundation" in commands


def test_json_for_scripts(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_status(url_of(full), full.parent, as_json=True)
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["storage"] == url_of(full)
    first, second, third = told["studies"]
    assert (first["study"], first["state"], first["best_value"], first["best_trial"]) == (
        "fx_ai_foundation",
        "finished",
        0.5,
        1,
    )
    assert [worker["alive"] for worker in second["workers"]] == [True] * 3
    assert third["study"] == HOSTILE


def test_a_database_without_studies(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(url_of(database), create=True):
        pass
    print_status(url_of(database), database.parent)
    assert capsys.readouterr().out == "no studies\n"


def test_looking_changes_no_file(full: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(full.parent.rglob("*")) if path.is_file()}
    print_status(url_of(full), full.parent / "results")
    assert {path: path.read_bytes() for path in sorted(full.parent.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "allowed"),
    [(["status"], set()), (["status", "--json"], set()), (["best", "done"], {"pydantic"})],
    ids=["status", "json", "best"],
)
def test_what_looks_imports_nothing_heavy(database: Path, words: list[str], allowed: set[str]) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "done", [0.1, 0.5], spec=recorded("done"))
    heavy = {"optuna", "sqlalchemy", "torch", "pandas", "plotly", "wandb", "scipy", "numpy", "pydantic"} - allowed
    script = (
        "import sys; from fxai.cli import main\n"
        "main(sys.argv[1:])\n"
        f"print('HEAVY', sorted(name for name in {heavy} if name in sys.modules))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, *words, "--storage", url_of(database)],
        cwd=database.parent,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_utc_now_is_what_trials_are_stored_in(database: Path) -> None:
    with opened(url_of(database), create=True) as storage:
        add_study(storage, "now", [0.1], spec=recorded("now"), start=datetime.now())
    with reading(url_of(database)) as reader:
        [trial] = reader.load("now", "").trials
    assert trial.start_utc is not None
    assert abs((datetime.now(timezone.utc).replace(tzinfo=None) - trial.start_utc).total_seconds()) < 600


def test_before_the_first_run_the_phases_are_listed_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = Path("config/optuna").absolute()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no such study database"):
        print_status(defaults.STORAGE)  # no specs here either
    (tmp_path / "config").mkdir()
    (tmp_path / "config/optuna").symlink_to(specs)
    print_status(defaults.STORAGE)
    said = capsys.readouterr().out
    places = [said.index(name) for name in ("fx_ai_foundation", "fx_ai_reward", "fx_ai_finetune")]
    assert places == sorted(places)
    assert "not started" in said
    assert "poe optuna-foundation" in said
    assert [path.name for path in tmp_path.iterdir()] == ["config"]
