"""Trainings that run out of memory, and devices that are lost (docs/faults.md F11, F12), in real worker processes."""

from __future__ import annotations

import fakes
import pytest
from harness import run, states, trials

TOLD = "oom: out of memory on cuda:0: peak 70.0 GiB of 80.0 GiB"


def test_f11_a_trial_out_of_memory_fails_and_another_process_goes_on(tmp_path):
    code, output = run(tmp_path, "takes_too_much", n_trials=3)
    assert code == 0, output
    assert states(tmp_path) == ["FAIL"] * 3
    assert [trial.user_attrs["error"] for trial in trials(tmp_path)] == [TOLD] * 3
    told = {"device": "cuda:0", "peak_bytes": 70 * 2**30, "total_bytes": 80 * 2**30}
    assert trials(tmp_path)[0].user_attrs["oom"] == told
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials(tmp_path)}) == 3  # all memory is free again


def test_f11_with_oom_shrink_the_same_parameters_are_tried_with_smaller_micro_batches(tmp_path):
    training = {"training_config": {"training": {"n_segments": 8, "batch_size": 4 * 8 * 128}}}
    code, output = run(tmp_path, "takes_too_much", n_trials=2, oom="shrink", **training)
    assert code == 0, output
    # minibatches of four segments: whole, in two, in four
    assert states(tmp_path) == ["REQUEUED", "REQUEUED", "COMPLETE"] * 2
    first = trials(tmp_path)[:3]
    assert [trial.user_attrs.get("gradient_accumulation_steps") for trial in first] == [None, 2, 4]
    assert first[0].user_attrs["error"] == f"{TOLD}; tried again with gradient_accumulation_steps 2"
    assert all(trial.params == first[0].params for trial in first)
    assert all(trial.user_attrs["seed"] == first[0].user_attrs["seed"] for trial in first)
    assert all(trial.user_attrs.get("default") is True for trial in first)
    config = (tmp_path / "results/fake/trials/0002/config.yaml").read_text()
    assert "gradient_accumulation_steps: 4" in config


def test_f11_what_does_not_fit_in_the_smallest_micro_batch_fails(tmp_path):
    training = {"training_config": {"training": {"n_segments": 2, "batch_size": 2 * 8 * 128}}}
    code, output = run(tmp_path, "never_fits", n_trials=1, oom="shrink", **training)
    assert code == 0, output
    assert states(tmp_path) == ["REQUEUED", "FAIL"]
    assert trials(tmp_path)[1].user_attrs["error"].endswith("its micro-batches are of one segment already")


def test_f12_a_process_that_lost_its_device_is_replaced_and_the_trial_runs_again(tmp_path):
    code, output = run(tmp_path, "loses_the_gpu_once", n_trials=2)
    assert code == 0, output
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE"]
    first, again, other = trials(tmp_path)
    assert first.user_attrs["error"].startswith("cuda:0 is lost to this process: CUDA error: an illegal memory access")
    assert again.user_attrs["attempt"] == 2
    assert first.user_attrs["owner"]["pid"] != again.user_attrs["owner"]["pid"] == other.user_attrs["owner"]["pid"]
    assert "worker 0 lost its device; another process goes on" in output


def test_f12_a_device_that_stays_lost_ends_the_run_before_it_eats_the_budget(tmp_path):
    code, output = run(tmp_path, "has_no_gpu", n_trials=50)
    assert code == 1, output
    assert "3 processes in a row lost their device" in output
    assert "poe optuna-doctor" in output
    assert states(tmp_path).count("FAIL") <= 1


@pytest.mark.parametrize("word", ["retry", "True"])
def test_other_words_for_oom_are_refused(word, tmp_path):
    fakes.write_spec(tmp_path, oom=word)
    code, output = run(tmp_path, "quadratic", oom=word)
    assert code == 2, output
    assert "oom" in output
    assert "shrink" in output
