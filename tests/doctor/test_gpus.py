"""What is said of each build of torch on each machine; the module is a fake, the driver a word."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fxai.doctor import gpus
from fxai.doctor.gpus import examine, runs_on
from fxai.doctor.place import Place

GB = 10**9


def build(cuda: str | None = "12.8", devices: int = 0, free: int = 70 * GB, hip: str | None = None) -> Any:
    """A torch that sees as many devices of 80 GB, capability 9.0."""
    return SimpleNamespace(
        __version__="2.12.0",
        version=SimpleNamespace(cuda=cuda, hip=hip),
        cuda=SimpleNamespace(
            is_available=lambda: devices > 0,
            device_count=lambda: devices,
            get_device_name=lambda index: f"Card {index}",
            mem_get_info=lambda index: (free, 80 * GB),
            get_device_capability=lambda index: (9, 0),
            get_arch_list=lambda: ["sm_80", "sm_90"],
        ),
    )


def verdicts(module: Any, driver: bool, **env: str) -> list[tuple[str, str]]:
    return [(one.check, one.verdict) for one in examine(module, env, has_driver=driver)]


def test_a_cpu_build_is_right_without_a_driver_and_wrong_beside_one() -> None:
    assert verdicts(build(cuda=None), False) == [("torch", "ok")]
    (found,) = examine(build(cuda=None), {}, has_driver=True)
    assert found.verdict == "wrong"
    assert "CPU build" in found.text
    assert found.hint is not None
    assert "pip install --force-reinstall torch" in found.hint
    assert found.exit_code == 2


def test_a_cuda_build_without_a_driver_is_a_note() -> None:
    assert verdicts(build(), False) == [("torch", "note")]


def test_a_rocm_build_is_a_note() -> None:
    assert verdicts(build(cuda=None, hip="6.0"), True) == [("torch", "note")]


@pytest.mark.parametrize(
    ("value", "words"),
    [("", "hides every GPU"), ("-1", "hides every GPU"), ("7", "names no GPU"), ("GPU-1234", "names no GPU")],
)
def test_a_variable_that_hides_the_gpus_is_named(value: str, words: str) -> None:
    told = examine(build(), {gpus.VISIBLE: value}, has_driver=True)[-1]
    assert told.verdict == "wrong"
    assert words in told.text
    assert told.hint == "unset CUDA_VISIBLE_DEVICES"


def test_a_driver_that_torch_cannot_use_is_wrong() -> None:
    told = examine(build(), {}, has_driver=True)[-1]
    assert (told.check, told.verdict) == ("GPU", "wrong")
    assert "finds no GPU" in told.text


def test_each_device_is_told_with_its_memory() -> None:
    torch_of_two = build(devices=2)
    assert verdicts(torch_of_two, True) == [("torch", "ok"), ("GPU", "ok"), ("GPU", "ok")]
    told = examine(torch_of_two, {}, has_driver=True)[2]
    assert told.text == "1: Card 1, 70.0 GB free of 80.0 GB"
    assert told.facts == {"index": 1, "name": "Card 1", "free_bytes": 70 * GB, "total_bytes": 80 * GB}


def test_names_that_cuda_does_not_know_are_wrong() -> None:
    # of 0,9 the second is not there, so torch sees one
    assert verdicts(build(devices=1), True, CUDA_VISIBLE_DEVICES="0,9")[1] == ("GPU", "wrong")
    assert verdicts(build(devices=1), True, CUDA_VISIBLE_DEVICES="0") == [("torch", "ok"), ("GPU", "ok")]


def test_a_device_that_others_fill_is_a_note() -> None:
    # 39 of 80 GB are less than half
    assert verdicts(build(devices=1, free=39 * GB), True)[-1] == ("GPU", "note")


def test_a_device_that_does_not_answer_is_wrong() -> None:
    def busy(index: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy\nCompile with TORCH_USE_CUDA_DSA")

    module = build(devices=1)
    module.cuda.mem_get_info = busy
    told = examine(module, {}, has_driver=True)[-1]
    assert told.verdict == "wrong"
    assert told.text == "0: Card 0 does not answer: CUDA error: all CUDA-capable devices are busy"


@pytest.mark.parametrize(
    ("architectures", "runs"),
    [
        (["sm_80", "sm_90"], True),
        (["sm_80", "sm_86"], False),  # binary code stays within its major version
        (["sm_80", "compute_80"], True),  # what is compiled at start runs on every newer one
        (["sm_100", "compute_100"], False),
        (["sm_90a"], True),
        ([], True),  # a build that does not say
    ],
)
def test_which_code_runs_on_capability_9_0(architectures: list[str], runs: bool) -> None:
    assert runs_on(architectures, 9, 0) is runs


def test_a_device_without_code_for_it_is_wrong() -> None:
    module = build(devices=1)
    module.cuda.get_arch_list = lambda: ["sm_50", "sm_60"]
    told = examine(module, {}, has_driver=True)[-1]
    assert told.verdict == "wrong"
    assert "capability 9.0" in told.text


def test_the_torch_of_this_machine_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus.check(Place())[0].facts["version"] == torch.__version__
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (told,) = gpus.check(Place())
    assert told.verdict == "wrong"
    assert "cannot be imported" in told.text
