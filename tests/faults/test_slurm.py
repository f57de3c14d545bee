"""The script of a SLURM job, with an srun and an scontrol that write down what they are told (docs/guide.md)."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "slurm_study.sh"
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")

ARRAY = {"SLURM_ARRAY_TASK_MIN": "3"}


def run(folder: Path, *options: str, srun_code: int = 0, **variables: str) -> tuple[int, list[str], str]:
    """Exit code of the script, the words given to srun, and those given to scontrol."""
    for name, code in (("srun", srun_code), ("scontrol", 0)):
        program = folder / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/{name}.told\nexit {code}\n')
        program.chmod(0o755)
    environment = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": "17",
        "SLURM_CPUS_PER_TASK": "2",
        **variables,
    }
    code = subprocess.run(["bash", str(SCRIPT), *options], env=environment, check=False).returncode
    told = folder / "scontrol.told"
    return code, (folder / "srun.told").read_text().splitlines(), told.read_text() if told.exists() else ""


@pytest.mark.parametrize(
    ("variables", "joins"),
    [({}, False), ({**ARRAY, "SLURM_ARRAY_TASK_ID": "3"}, False), ({**ARRAY, "SLURM_ARRAY_TASK_ID": "4"}, True)],
)
def test_the_first_task_of_an_array_leads_and_the_others_join(variables, joins, tmp_path):
    code, words, requeued = run(tmp_path, "--spec", "a b.yaml", **variables)
    assert (code, requeued) == (0, "")
    assert words[:4] == ["--cpus-per-task=2", "python", "optuna_optimization.py", "--spec"]
    assert words[4:] == ["a b.yaml", "--n-jobs", "2", *(["--join", "--wait", "600"] if joins else [])]


# 128 + 15, 128 + 12 (USR2 outside of a study); 137 is SIGKILL, as after too much memory: it would come again
@pytest.mark.parametrize(
    ("ended", "again"), [(143, True), (140, True), (0, False), (2, False), (4, False), (137, False)]
)
def test_a_job_that_was_asked_to_end_is_queued_again_and_no_other(ended, again, tmp_path):
    code, _, requeued = run(tmp_path, "--spec", "study.yaml", srun_code=ended)
    assert code == ended
    assert requeued == ("requeue\n17\n" if again else "")


def test_slurm_is_told_to_warn_fxai_itself_and_to_requeue():
    told = {line.removeprefix("#SBATCH ") for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")}
    assert {"--requeue", "--open-mode=append"} <= told
    [warning] = [option for option in told if option.startswith("--signal=")]
    assert re.fullmatch(r"--signal=USR2@\d+", warning)  # with B: the shell alone would be told


def test_the_guide_gives_the_script_what_it_takes():
    from test_docs import parse

    lines = re.findall(r"^sbatch .*", GUIDE, re.M)
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)
        own = words.index("scripts/slurm_study.sh")
        assert all(word.startswith("--") for word in words[1:own])
        args = parse([*words[own + 1 :], "--n-jobs", "8", "--join", "--wait", "600"])
        assert (ROOT / args.spec).is_file()
