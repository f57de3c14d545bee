"""The command line: fast where it should be, and errors that a person can act on."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import yaml

from fxai import cli
from fxai.commands import run as commands
from fxai.commands.ready import bars_needed
from fxai.errors import InputError, StudyConflict
from fxai.report import talk
from fxai.study.database.budget import claim, requeue
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner
from fxai.study.spec import load_specs

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "pandas", "plotly", "wandb", "scipy")


@pytest.fixture
def spec_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec of one study, in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text("data: {source: ecb}\nenv: {execution: next_close}\n")
    return write(tmp_path)


def write(folder: Path, *names: str) -> Path:
    studies = [
        {
            "study_name": name,
            "storage": "sqlite:///optuna_studies.db",
            "base_config": "base",
            "sampler": {"type": "RandomSampler", "seed": 1},
            "parameters": [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}],
            "n_trials": 3,
        }
        for name in names or ("fake",)
    ]
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({"name": "fake", "studies": studies}))
    return path


def two_trials(spec_file: Path) -> optuna.Study:
    """The study of the file with trial 0 complete at 1.5, and trial 1 given back as trial 2."""
    spec = load_specs(spec_file).studies[0]
    storage = open_storage(spec.storage, create=True)
    study = open_study(storage, spec, "bars")
    claim(storage, study._study_id, 3, Owner.current())
    trial = optuna.Trial(study, study.trials[0]._trial_id)
    trial.suggest_float("training.learning_rate", 0.0001, 0.002)
    study.tell(trial, 1.5)
    requeue(storage, claim(storage, study._study_id, 3, Owner.current()) or 0, "stopped", blame=False)
    storage.engine.dispose()
    return study


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["best", "fake"], 2),
        (["status"], 2),
        (["--spec", "missing.yaml"], 2),
    ],
)
def test_what_needs_no_training_imports_nothing_heavy(tmp_path, words, code):
    script = (
        "import sys; from fxai.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_entry_script_lists_its_commands():
    script = [sys.executable, str(ROOT / "optuna_optimization.py"), "--help"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    for name in ("run", "best", "status", "dashboard", "train", "backtest"):
        assert f"\n    {name}" in done.stdout


def test_no_arguments_print_the_help_and_exit_2(capsys):
    assert cli.main([]) == 2
    assert "--spec FILE" in capsys.readouterr().err


def test_best_prints_and_exports(spec_file, capsys):
    two_trials(spec_file)
    assert cli.main(["best", "fake"]) == 0
    assert "trial 0" in capsys.readouterr().out
    folder = Path("optuna_results/fake")
    assert {"best_params.json", "fake_results.json", "fake_best_config.yaml"} <= {p.name for p in folder.iterdir()}


def test_best_of_an_unknown_study_lists_those_that_exist(spec_file, capsys):
    two_trials(spec_file)
    assert cli.main(["best", "fakke"]) == 2
    assert "hint: did you mean fake? (studies in this database: fake)" in capsys.readouterr().err
    assert cli.main(["best", "other"]) == 2
    assert "hint: studies in this database: fake" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["best", "fake"], ["status"], ["dashboard"]])
def test_a_mistyped_database_is_an_error_and_is_not_created(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words, "--storage", "sqlite:///typo.db"]) == 2
    assert "error: typo.db: there is no such study database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_counts_trials(spec_file, capsys):
    two_trials(spec_file)
    assert cli.main(["status"]) == 0
    _, head, _, row, *rest = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "state", "done", "trials", "best", "last", "ETA", "run", "by"]
    # 1 complete of 3; nothing runs; the repetition waits; a requeued trial is no failure
    assert row.split()[:5] == ["fake", "interrupted", "1", "of", "3"]
    assert "1 complete, 1 waiting, 1 run again" in row
    assert "mean_reward 1.5 (trial 0)" in row
    assert [line.split("  #")[0] for line in rest[-1:]] == ["  poe optuna-run --spec FILE"]


def test_status_tells_a_budget_that_was_lowered_from_what_is_left(spec_file, capsys):
    study = two_trials(spec_file)
    for _ in range(3):
        study.add_trial(optuna.trial.create_trial(value=0.5))
    assert cli.main(["status"]) == 0
    # 1 and 3 complete, and a budget of 3
    assert "fake   finished  4 (budget 3)  4 complete" in capsys.readouterr().out


def test_a_spec_error_is_two_lines_on_stderr(spec_file, capsys):
    spec_file.write_text(spec_file.read_text().replace("sampler:", "samplre:"))
    assert cli.main(["--spec", str(spec_file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {spec_file}:")
    assert "hint: did you mean sampler?" in printed.err


def test_errors_carry_the_exit_code_of_their_class(monkeypatch, capsys):
    def conflict(_: object) -> int:
        raise StudyConflict("it differs", where="study x", hint="rename\x1b[31m it")

    monkeypatch.setattr("fxai.commands.status.status_command", conflict)
    assert cli.main(["status"]) == 4
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "error: study x: it differs"
    assert "\x1b" not in err


def test_a_bug_is_one_line_and_a_private_file_with_the_traceback(monkeypatch, capsys):
    def bug(_: object) -> int:
        raise ZeroDivisionError("postgresql://me:secret@host/db")

    monkeypatch.setattr("fxai.commands.status.status_command", bug)
    assert cli.main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: this is a bug in FxAI: ZeroDivisionError: postgresql://me:***@host/db")
    path = Path(err.rpartition(" ")[2].strip())
    assert "Traceback" in path.read_text()
    assert "secret" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    path.unlink()
    assert cli.main(["status", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    Path(err.rpartition(" ")[2].strip()).unlink()


def test_ctrl_c_outside_of_a_study_is_130(monkeypatch, capsys):
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("fxai.commands.status.status_command", interrupted)
    assert cli.main(["status"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--n-trials", "0"], ["--n-trials", "x"], ["--timeout", "-1"], ["--timeout", "nan"]])
def test_numbers_that_make_no_sense_are_refused(spec_file, words):
    with pytest.raises(SystemExit) as end:
        cli.main(["--spec", str(spec_file), *words])
    assert end.value.code == 2


@pytest.mark.parametrize(
    ("words", "unknown", "meant"),
    [
        (["data-check", "--tz", "UTC", "x.csv"], "data-check has no option --tz", "--timezone"),
        (["train", "--conf", "x"], "train has no option --conf", "--config"),
        (["--sped", "x"], "run has no option --sped", "--spec"),
        (["--spec", "x", "--n_trials=4"], "run has no option --n_trials", "--n-trials"),
        (["backtest", "--weigths", "x"], "backtest has no option --weigths", "--weights"),
        (["status", "-storage"], "status has no option -storage", "--storage"),
    ],
)
def test_an_option_that_is_not_there_is_named_before_those_that_are_missing(capsys, words, unknown, meant):
    assert cli.main(words) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"error: {unknown}"
    command = unknown.partition(" ")[0]
    assert hint == f"hint: did you mean {meant}? (optuna_optimization.py {command} --help lists its options)"


def test_an_option_like_no_other_gets_no_guess(capsys):
    assert cli.main(["data-check", "--qqq"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "hint: optuna_optimization.py data-check --help lists its options"


@pytest.mark.parametrize("value", ["-0.5", "-", "-1", "-a b"])
def test_what_argparse_takes_for_a_value_is_no_unknown_option(monkeypatch, value):
    seen = []
    monkeypatch.setattr("fxai.commands.data_check.data_check_command", lambda args: seen.append(args.decimal) or 0)
    assert cli.main(["data-check", "--decimal", value, "x.csv"]) == 0
    assert seen == [value]


def test_words_after_two_dashes_are_files(monkeypatch):
    seen = []
    monkeypatch.setattr("fxai.commands.data_check.data_check_command", lambda args: seen.extend(args.files) or 0)
    assert cli.main(["data-check", "--", "--odd.csv"]) == 0
    assert seen == [Path("--odd.csv")]


class Terminal(io.StringIO):
    """Of 80 columns, since it has no descriptor that could be asked."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_notes_broken_at_blanks_and_errors_as_they_are(monkeypatch, capsys):
    note = "note: EURUSD: " + "word " * 20 + "50 gaps"
    command = "hint: run optuna_optimization.py --spec " + "x" * 60 + " --new-study"
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", Terminal())
        talk.say(note)
        talk.say(command)
        first, second, third = cli.sys.stderr.getvalue().splitlines()
    # 14 + 13 words of 5 are 79 with the last blank, which ends the line; 7 words are left
    assert first == "note: EURUSD: " + "word " * 12 + "word"
    assert second == "  " + "word " * 7 + "50 gaps"
    assert third == command
    talk.say(note)
    assert capsys.readouterr().err == note + "\n"  # a file gets one line


def chosen(spec_file: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[commands.StudySpec]:
    """The studies that a command line would run."""
    seen: list[commands.StudySpec] = []
    monkeypatch.setattr(commands, "_run_one", lambda _file, spec, *_: seen.append(spec) or 0)
    assert cli.main(["--spec", str(spec_file), *words]) == 0
    return seen


def test_options_override_the_spec(spec_file, monkeypatch):
    words = ["--n-trials", "9", "--timeout", "60", "--storage", "sqlite:///other.db", "--study-name", "mine"]
    more = ["--set", "training.total_updates=50", "--set", "env.spread_bp=2.5", "--set", "model.activation=relu"]
    [spec] = chosen(spec_file, monkeypatch, *words, *more)
    assert (spec.n_trials, spec.timeout, spec.storage, spec.study_name) == (9, 60.0, "sqlite:///other.db", "mine")
    assert spec.base.training.total_updates == 50
    assert spec.base.env.spread_bp == 2.5
    assert spec.base.model.activation == "relu"


@pytest.mark.parametrize(
    ("assignment", "what"),
    [
        ("training.learning_rat=0.001", "did you mean training.learning_rate"),
        ("training.n_epochs=2.5", "must be a whole number"),
        ("training.n_epochs", "is not KEY=VALUE"),
        ("training.learning_rate=0.5", "the default 0.5 is not among the searched values"),
    ],
)
def test_an_override_is_checked_like_the_file(spec_file, capsys, assignment, what):
    assert cli.main(["--spec", str(spec_file), "--set", assignment]) == 2
    assert what in capsys.readouterr().err


def test_a_study_of_several_is_chosen_by_name(spec_file, monkeypatch, capsys):
    write(spec_file.parent, "one", "two")
    assert [spec.study_name for spec in chosen(spec_file, monkeypatch)] == ["one", "two"]
    assert [spec.study_name for spec in chosen(spec_file, monkeypatch, "--study-name", "two")] == ["two"]
    assert cli.main(["--spec", str(spec_file), "--study-name", "three"]) == 2
    assert "hint: known: one, two" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../../x", "a" * 65, "<script>", "x\0y", ""])
def test_a_hostile_name_is_refused(spec_file, capsys, name):
    assert cli.main(["--spec", str(spec_file), "--study-name", name]) == 2
    assert "cannot name a study" in capsys.readouterr().err


def test_a_new_study_takes_the_next_free_name(spec_file):
    spec = load_specs(spec_file).studies[0]
    assert commands._under_free_name(spec).study_name == "fake"
    two_trials(spec_file)
    assert commands._under_free_name(spec).study_name == "fake-2"


def test_bars_are_checked_for_the_warm_up_and_the_longest_episode(spec_file):
    text = spec_file.read_text()
    spec = load_specs(spec_file).studies[0]
    assert bars_needed(spec) == 128 + 256  # the defaults
    longer = {"name": "env.max_episode_steps", "type": "categorical", "choices": [128, 256, 512]}
    data = yaml.safe_load(text)
    data["studies"][0]["parameters"].append(longer)
    spec_file.write_text(yaml.safe_dump(data))
    assert bars_needed(load_specs(spec_file).studies[0]) == 128 + 512


def test_too_few_bars_end_the_run_before_the_study_exists(spec_file, monkeypatch, capsys):
    def load_market(*_: object, min_bars: int, **__: object) -> SimpleNamespace:
        raise InputError(f"needs {min_bars} bars")

    monkeypatch.setattr("fxai.market.data.load_market", load_market)
    assert cli.main(["--spec", str(spec_file)]) == 2
    assert "needs 384 bars" in capsys.readouterr().err
    assert not Path("optuna_studies.db").exists()
