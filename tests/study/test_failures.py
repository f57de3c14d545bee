"""Memory that runs out and a broken device, as errors that say so (F11, F12)."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_config

from fxai.study import failures, ppo
from fxai.study.failures import memory_of, named_failures
from fxai.study.objective import DeviceLost, OutOfMemory, TrialRequest, shrunk

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
TRAINING = small_config().training


@pytest.fixture
def gpu(monkeypatch):
    """Figures of a GPU of 79.2 GiB, of which 70.1 were taken at most; counted from a reset."""
    told = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", told.append)
    monkeypatch.setattr(failures, "memory_of", lambda device: (int(70.1 * 2**30), int(79.2 * 2**30)))
    return told


def raised(error: Exception, device: torch.device) -> Exception:
    """What becomes of an error."""
    try:
        with named_failures(device, TRAINING):
            raise error
    except Exception as got:
        return got


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_gpu_without_memory_is_named_with_its_peak(gpu, error):
    got = raised(error, GPU)
    assert isinstance(got, OutOfMemory)
    assert str(got) == "out of memory on cuda:0: peak 70.1 GiB of 79.2 GiB"
    # a minibatch of 128 transitions is two segments of 2 × 32
    assert (got.device, got.segments) == ("cuda:0", 2)
    assert got.__cause__ is error
    assert gpu == [GPU]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**9,), np.dtype(float)),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("std::bad_alloc"),
    ],
)
@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
def test_a_host_without_memory_is_named_whatever_trains(gpu, error, device):
    got = raised(error, device)
    assert isinstance(got, OutOfMemory)
    assert got.device == "cpu"


@pytest.mark.parametrize("kind", [RuntimeError, torch.AcceleratorError])
def test_a_broken_gpu_is_named_without_advice_for_programmers(gpu, kind):
    text = (
        "CUDA error: an illegal memory access was encountered\nSearch for `cudaErrorIllegalAddress' in https://docs "
        "for more information.\nCUDA kernel errors might be asynchronously reported\nCompile with `TORCH_USE_CUDA_DSA`"
    )
    got = raised(kind(text), GPU)
    assert isinstance(got, DeviceLost)
    assert str(got) == "cuda:0 is lost to this process: CUDA error: an illegal memory access was encountered"


def test_a_gpu_that_was_broken_before_is_named_at_the_begin(monkeypatch):
    def broken(_: torch.device) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", broken)
    assert isinstance(raised(ValueError("never reached"), GPU), DeviceLost)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("no"), KeyError("x")])
def test_what_is_neither_stays_as_it_is(gpu, error):
    assert raised(error, GPU) is error


def test_both_errors_survive_the_way_to_the_parent():
    for error in (OutOfMemory("cpu", 2**30, None, 3), OutOfMemory("cpu", None, None, 1), DeviceLost("cuda:1", "why")):
        same = pickle.loads(pickle.dumps(error))
        assert (type(same), str(same), vars(same)) == (type(error), str(error), vars(error))
    assert str(OutOfMemory("cpu", 2**30, None, 3)) == "out of memory on cpu: peak 1.0 GiB"
    assert str(OutOfMemory("cpu", None, 2**30, 1)) == "out of memory on cpu"


def test_memory_of_this_process_and_machine():
    peak, total = memory_of(CPU)
    assert peak is not None
    assert total is not None
    # torch alone takes 100 MiB
    assert 2**26 < peak < total


def test_a_broken_gpu_tells_no_memory(monkeypatch):
    def broken(_: torch.device) -> int:
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(torch.cuda, "max_memory_allocated", broken)
    assert memory_of(GPU) == (None, None)


def test_the_training_names_it_and_leaves_its_checkpoint(tmp_path, monkeypatch):
    from fxai.agent import train as training

    own = small_config(training={"total_updates": 5})
    asked = TrialRequest(number=0, config=own, ruler=own, seed=1, folder=tmp_path, checkpoint_s=0.0)
    real, seen = training.Learner.update, []

    def update(self):
        if self.updates == 2:
            raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB")
        return real(self)

    monkeypatch.setattr(training.Learner, "update", update)
    with pytest.raises(OutOfMemory, match="out of memory on cpu: peak"):
        seen.extend(ppo.objective(asked))
    monkeypatch.undo()
    again = list(ppo.objective(asked))
    assert [r.continued_from for r in again] == [2, 2, None, None, None]


def test_half_the_memory_until_a_micro_batch_is_one_segment():
    def after(steps: int) -> int | None:
        # minibatches of six segments of 2 × 32 transitions
        sizes = {"n_segments": 6, "batch_size": 6 * 64, "gradient_accumulation_steps": steps}
        return shrunk(small_config(training=sizes))

    assert [after(n) for n in (1, 2, 4, 6, 99)] == [2, 4, 6, None, None]


LIMITED = """
import resource, sys
import torch
from fxai.config import TrialConfig
from fxai.study.objective import OutOfMemory, TrialRequest
from fxai.study.ppo import arena_of, objective
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small import small_config
own = small_config(
    model={"d_model": 256, "n_layers": 4, "n_heads": 4},
    training={"n_segments": 64, "batch_size": 64 * 64, "total_updates": 1},
)
arena_of(own, own)
asked = TrialRequest(number=0, config=own, ruler=own, seed=1, folder=Path(sys.argv[1]))
next(objective(TrialRequest(number=0, config=small_config(), ruler=own, seed=1, folder=Path(sys.argv[1]))))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
try:
    next(objective(asked))
except OutOfMemory as error:
    print(error, error.segments)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_f11_a_process_that_may_take_no_more_says_how_much_it_took(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("out of memory on cpu: peak 0."), done.stdout + done.stderr
    assert done.stdout.endswith(" 64\n")
