"""The whole chain with real, tiny trainings, as a process; and what it does when it is stopped and started again."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chained import FLAG, GAMMA, RATE, fill, spec_of, write_specs

from fxai import cli
from fxai.commands.phases import phases_in
from fxai.config.load import get_dotted, load_trial_config
from fxai.errors import InputError
from fxai.report.outcome import outcome_of
from fxai.study.confirm import load_confirmation
from fxai.study.database.storage import load_study, opened
from fxai.study.inherited import INHERITED, load_inherited

ROOT = Path(__file__).parents[2]
LONGEST_S = 300
"""Ends a test that hangs; no test waits for it."""

PATIENT = '''
"""Scores a learning rate at once; study two waits, until it may go on."""
import os, time
from pathlib import Path
from fxai.config.metrics import METRIC_NAMES
from fxai.study.objective import Report

def objective(request):
    if "two" in request.folder.parts and not Path("go_on").exists():
        yield Report(step=1, total_steps=9)
        with open("go", "w") as pipe:
            pipe.write("GO")
        for step in range(2, 1_000_000):
            time.sleep(0.02)
            yield Report(step=step, total_steps=9)
    value = request.config.training.learning_rate
    yield Report(step=9, total_steps=9, metrics=dict.fromkeys(METRIC_NAMES, value))
'''


def chain(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "optuna_optimization.py"), "chain", "--specs", "optuna", *options]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ran(folder: Path, *options: str) -> tuple[int, str, str]:
    process = chain(folder, *options)
    out, err = process.communicate(timeout=LONGEST_S)
    return process.returncode, out, err


def read(folder: Path, name: str):
    with opened(f"sqlite:///{folder / 'chain.db'}", readonly=True) as storage:
        study = load_study(storage, name)
        return outcome_of(study, ["mean_reward"]), dict(study.user_attrs)


def test_three_phases_a_confirmation_and_a_comparison(tmp_path, monkeypatch):
    write_specs(tmp_path)
    options = ("--n-trials", "3", "--set", "training.total_updates=1", "--seeds", "2", "--quiet")
    code, out, err = ran(tmp_path, *options)
    assert code == 0, err
    results = tmp_path / "results"
    outcomes = {name: read(tmp_path, name)[0] for name in ("one", "two", "three")}
    assert all(len(o.trials) == 3 and o.counts["waiting"] == 0 for o in outcomes.values())

    # one ruler: the same file for all three, and it is the base config with what was set by hand
    rulers = [load_trial_config(results / name / "ruler.yaml") for name in outcomes]
    assert rulers[0] == rulers[1] == rulers[2]
    assert rulers[0].training.total_updates == 1
    assert not rulers[0].env.reward.enable_drawdown_penalty

    # trial 0 of a phase is the best of the phase before it, but for its seed
    for before, after in (("one", "two"), ("two", "three")):
        best = load_trial_config(results / before / f"{before}_best_config.yaml")
        first = load_trial_config(results / after / "trials" / "0000" / "config.yaml")
        assert best.model_copy(update={"training": best.training.model_copy(update={"seed": 0})}) == first.model_copy(
            update={"training": first.training.model_copy(update={"seed": 0})}
        )

    # every trial of phase 3 trains with the foundation's gamma; its flag and rate are its own again
    inherited = load_inherited(results / "three")
    assert [source.study for source in inherited.sources] == ["one", "two"]
    assert set(inherited.values) == {GAMMA}
    assert {RATE, FLAG} <= set(inherited.enqueued)
    for trial in (results / "three" / "trials").glob("*/config.yaml"):
        assert get_dotted(load_trial_config(trial), GAMMA) == outcomes["one"].best.params[GAMMA]
    assert read(tmp_path, "three")[1]["inherited"]["values"] == {GAMMA: outcomes["one"].best.params[GAMMA]}

    # two fresh seeds, which no trial had; the file says what the page says
    told = load_confirmation(results / "three")
    assert (told.trial, len(told.seeds)) == (outcomes["three"].best.number, 2)
    assert not set(told.seeds) & {trial.user_attrs["seed"] for trial in outcomes["three"].trials}
    assert told.own_value == outcomes["three"].best.value
    assert "fresh seeds" in out
    assert all(name in out for name in outcomes)  # the comparison

    # the same command again trains nothing, confirms nothing anew, and rewrites no transfer
    files = [results / "two" / INHERITED, results / "three" / INHERITED, results / "three" / "confirmation.json"]
    before = [file.read_bytes() for file in files]
    code, again, err = ran(tmp_path, *options)
    assert code == 0, err
    assert err.count(": skipped") == 3
    assert [file.read_bytes() for file in files] == before
    assert all(len(read(tmp_path, name)[0].trials) == 3 for name in outcomes)
    assert again == out

    # for scripts: one object a line, the confirmation last
    code, text, err = ran(tmp_path, *options[:-1], "--json")
    assert code == 0, err
    last = json.loads(text.splitlines()[-1])
    assert (last["event"], last["trial"], last["difference"]) == (
        "confirmation",
        told.trial,
        told.difference.model_dump(mode="json"),
    )


def test_a_chain_that_was_stopped_goes_on_where_it_was(tmp_path):
    write_specs(tmp_path, objective="patient:objective")
    (tmp_path / "patient.py").write_text(PATIENT)
    os.mkfifo(tmp_path / "go")
    reader = os.open(tmp_path / "go", os.O_RDWR | os.O_NONBLOCK)
    options = ("--seeds", "2", "--quiet")
    process = chain(tmp_path, *options)
    readable, _, _ = select.select([reader], [], [], LONGEST_S)
    assert readable, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LONGEST_S)
    os.close(reader)
    assert process.returncode == 130, err
    assert read(tmp_path, "one")[0].counts["complete"] == 4
    carried = (tmp_path / "results" / "two" / INHERITED).read_bytes()

    (tmp_path / "go_on").touch()
    code, _, err = ran(tmp_path, *options)
    assert code == 0, err
    assert "phase 1: one has finished 4 of 4 trials: skipped" in err
    assert (tmp_path / "results" / "two" / INHERITED).read_bytes() == carried
    for name in ("two", "three"):
        outcome, _ = read(tmp_path, name)
        assert outcome.counts["complete"] == 4
        assert outcome.counts["waiting"] == outcome.counts["running"] == 0
    # the objective is the rate itself: phase 2 did not search it, so it kept the best of phase 1
    assert read(tmp_path, "two")[0].best.value == read(tmp_path, "one")[0].best.value
    assert json.loads((tmp_path / "results" / "three" / "confirmation.json").read_text())["difference"]["mean"] > 0


def test_a_phase_that_has_begun_keeps_what_it_started_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path)
    from fxai.study.transfer import with_inherited

    fill(spec_of(specs, 1), [(0.1 * i, {RATE: 0.001, GAMMA: 0.6}) for i in range(3)], data_hash="x")
    assert cli.main(["transfer", "--specs", "optuna", "--from-phase", "1", "--to-phase", "2"]) == 0
    two = with_inherited(spec_of(specs, 2), load_inherited(Path("results/two")))
    fill(two, [(1.0, {FLAG: False})], data_hash="x")
    fill(spec_of(specs, 1), [(9.0, {RATE: 0.005, GAMMA: 0.9})], data_hash="x")
    before = Path("results/two", INHERITED).read_bytes()
    asked = []

    def stop(args):
        asked.append(args)
        return 130

    monkeypatch.setattr("fxai.commands.chain.run_command", stop)
    assert cli.main(["chain", "--specs", "optuna", "--n-trials", "20", "--timeout", "60"]) == 130
    (args,) = asked  # phase 1, 4 of 20, is left alone: phase 2 has begun from it
    assert (args.study_name, args.n_trials, args.timeout, args.new_study) == ("two", 20, 60.0, False)
    assert Path("results/two", INHERITED).read_bytes() == before


def test_what_an_override_breaks_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pruner = {"type": "MedianPruner", "n_warmup_steps": 4}
    write_specs(tmp_path, pruner=pruner, training_config={"training": {"total_updates": 8, "eval_frequency": 2}})
    monkeypatch.setattr("fxai.commands.run._run_one", lambda specs, spec, args, audience: 130)
    assert cli.main(["chain", "--specs", "optuna", "--set", "training.total_updates=4"]) == 130
    assert capsys.readouterr().err.count("can never stop a trial") == 1  # of the phase that ran, not of all three


@pytest.mark.parametrize(
    ("write", "words"),
    [
        ({}, "no spec here has a study with `phase: 1`"),
        ({"a": 1, "b": 1}, "phase 1 is a in"),
    ],
    ids=["none", "two of one number"],
)
def test_a_folder_that_is_no_chain_is_refused(tmp_path, write, words):
    specs = write_specs(tmp_path)
    for path in specs.glob("*.yaml"):
        text = yaml.safe_load(path.read_text())
        path.unlink()
    (tmp_path / "optuna" / "broken.yaml").write_text("studies: [")  # may be anything, and is left alone
    for name, number in write.items():
        study = {**text["studies"][0], "study_name": name, "phase": number}
        del study["inherits"]
        (specs / f"{name}.yaml").write_text(yaml.safe_dump({**text, "studies": [study]}))
    with pytest.raises(InputError, match=words):
        phases_in(specs)


def test_the_presets_are_a_chain(monkeypatch):
    monkeypatch.chdir(ROOT)
    phases = phases_in(Path("config/optuna"))
    assert {n: (p.spec.study_name, p.spec.inherits) for n, p in phases.items()} == {
        1: ("fx_ai_foundation", ()),
        2: ("fx_ai_reward", ("fx_ai_foundation",)),
        3: ("fx_ai_finetune", ("fx_ai_reward",)),
    }
    assert phases[1].spec.scoring == phases[2].spec.scoring == phases[3].spec.scoring
