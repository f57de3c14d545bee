"""torch and the GPUs: a build that fits the machine, devices that can be seen, and memory that is free."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place

DRIVER = Path("/proc/driver/nvidia/version")
"""Of the kernel module; there while it is loaded."""

DEVICE = Path("/dev/nvidiactl")

VISIBLE = "CUDA_VISIBLE_DEVICES"

BUSY = 0.5
"""Share of a GPU's memory that is free, below which others are using it."""

CPU_IS_USED = "trainings run on the CPU"


def check(place: Place) -> list[Finding]:
    """Imports torch, which takes seconds."""
    try:
        import torch
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        return [
            wrong("torch", f"cannot be imported: {reason}", "pip install -c constraints.txt --force-reinstall torch")
        ]
    return examine(torch, os.environ, has_driver=has_driver())


def has_driver() -> bool:
    """Whether this machine has NVIDIA's driver, whatever torch makes of it."""
    return DRIVER.exists() or DEVICE.exists() or shutil.which("nvidia-smi") is not None


def examine(torch: Any, env: Mapping[str, str], *, has_driver: bool) -> list[Finding]:
    """What torch can do here.

    Args:
        torch: the module.
        env: the environment.
        has_driver: the machine has NVIDIA's driver.
    """
    version = str(torch.__version__)
    facts = {"version": version, "cuda": torch.version.cuda, "driver": has_driver}
    if torch.version.cuda is None:
        if getattr(torch.version, "hip", None) is not None:
            return [note("torch", f"{version} is a ROCm build, on which FxAI was not tested", **facts)]
        if not has_driver:
            return [ok("torch", f"{version}, a CPU build; no NVIDIA driver here", **facts)]
        text = f"{version} is a CPU build, and this machine has an NVIDIA driver: {CPU_IS_USED}"
        hint = "pip install --force-reinstall torch   (the build of the package index has CUDA, and is several GB)"
        return [wrong("torch", text, hint, **facts)]
    head = f"{version}, a build for CUDA {torch.version.cuda}"
    if torch.cuda.is_available():
        seen = torch.cuda.device_count()
        return [ok("torch", head, **facts), *_visible(env, seen), *(_gpu(torch, i) for i in range(seen))]
    if not has_driver:
        return [note("torch", f"{head}; no NVIDIA driver here: {CPU_IS_USED}", **facts)]
    return [ok("torch", head, **facts), _unseen(env)]


def _named(env: Mapping[str, str]) -> list[str] | None:
    """Devices that the variable names; None where it is not set."""
    value = env.get(VISIBLE)
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _visible(env: Mapping[str, str], seen: int) -> list[Finding]:
    """CUDA ignores what follows the first name that it does not know."""
    named = _named(env)
    if named is None or "-1" in named or len(named) <= seen:
        return []
    text = f"{VISIBLE}={env[VISIBLE]} names {len(named)} devices, and torch sees {seen}"
    return [wrong("GPU", text, f"nvidia-smi -L lists them; then: export {VISIBLE}=…, or unset {VISIBLE}")]


def _unseen(env: Mapping[str, str]) -> Finding:
    named = _named(env)
    if named is None:
        text = f"torch finds no GPU although the driver is there: {CPU_IS_USED}"
        return wrong("GPU", text, "nvidia-smi says what is wrong; an old driver needs an older build of torch")
    what = "hides every GPU" if not named or named[0] == "-1" else "names no GPU of this machine"
    return wrong("GPU", f"{VISIBLE}={env[VISIBLE]!r} {what}: {CPU_IS_USED}", f"unset {VISIBLE}")


def _gpu(torch: Any, index: int) -> Finding:
    """Name and memory of a device, and whether the build has code for it."""
    name = torch.cuda.get_device_name(index)
    try:
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        hint = "nvidia-smi shows who uses it; a device in exclusive mode takes one program"
        return wrong("GPU", f"{index}: {name} does not answer: {reason}", hint)
    told = f"{index}: {name}, {free / 1e9:.1f} GB free of {total / 1e9:.1f} GB"
    facts = {"index": index, "name": name, "free_bytes": free, "total_bytes": total}
    major, minor = torch.cuda.get_device_capability(index)
    if not runs_on(torch.cuda.get_arch_list(), major, minor):
        text = f"{told}: torch was built without code for compute capability {major}.{minor}"
        return wrong("GPU", text, "install a build of torch that has it (its release notes list them)", **facts)
    if free < BUSY * total:
        return note("GPU", f"{told}: other programs use it", "nvidia-smi shows which", **facts)
    return ok("GPU", told, **facts)


def runs_on(architectures: list[str], major: int, minor: int) -> bool:
    """Whether code built for these runs on a device: `sm_` within its major version, `compute_` on all newer ones."""
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        digits = "".join(ch for ch in number if ch.isdigit())
        if len(digits) < 2:
            continue
        own = (int(digits[:-1]), int(digits[-1]))
        if own <= (major, minor) and (kind == "compute" or own[0] == major):
            return True
    return not architectures
