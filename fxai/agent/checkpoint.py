"""Weights on disk: safetensors, with the shape they need in the header; nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from fxai.agent.policy import Policy
from fxai.config import ModelConfig
from fxai.env.trading import ACCOUNT_FEATURES
from fxai.errors import InputError
from fxai.files import write_bytes_atomic

FORMAT = "fxai-policy-1"
MAX_BYTES = 2**31
"""Larger files are refused before they are read."""


def save_weights(
    path: Path, policy: Policy, member: int, *, feature_names: tuple[str, ...], levels: tuple[float, ...]
) -> None:
    """Write one member's weights, atomically, with the features and position levels that they mean."""
    tensors = {n: w.detach()[member].cpu().contiguous() for n, w in policy.parameters.items()}
    shape = {
        "format": FORMAT,
        "model": policy.config.model_dump_json(),
        "account": json.dumps(ACCOUNT_FEATURES),
        "levels": json.dumps(levels),
        "features": json.dumps(feature_names),
    }
    write_bytes_atomic(path, save(tensors, metadata=shape))


def load_weights(
    path: Path, *, feature_names: tuple[str, ...], levels: tuple[float, ...], device: torch.device
) -> Policy:
    """A policy of population 1.

    Raises:
        InputError: the file is missing, damaged, no FxAI policy, or trained on other features or levels.
    """
    if not path.is_file():
        raise InputError("there is no such weights file", where=str(path), hint="poe train writes weights.safetensors")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES} bytes, so no FxAI policy", where=str(path))
    try:
        with safe_open(str(path), framework="pt") as file:
            header: dict[str, Any] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"not readable as safetensors ({error})", where=str(path), hint="train again") from error
    return _rebuild(path, header, tensors, feature_names, levels, device)


def _rebuild(
    path: Path,
    header: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    feature_names: tuple[str, ...],
    levels: tuple[float, ...],
    device: torch.device,
) -> Policy:
    if header.get("format") != FORMAT:
        raise InputError("these are no FxAI policy weights", where=str(path))
    try:
        config = ModelConfig.model_validate_json(header["model"])
        trained_on, account, trained_levels = (
            tuple(json.loads(header[name])) for name in ("features", "account", "levels")
        )
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InputError("the header of the weights file is damaged", where=str(path)) from error
    for what, trained, here in (
        ("bar features", trained_on, feature_names),
        ("account features", account, ACCOUNT_FEATURES),
        ("position levels", trained_levels, levels),
    ):
        if trained != here:
            raise InputError(
                f"trained with the {what} {', '.join(map(str, trained))}; here they are {', '.join(map(str, here))}",
                where=str(path),
                hint="use the config that the weights were trained with",
            )
    policy = Policy(
        config,
        n_features=len(trained_on),
        n_account=len(account),
        n_actions=len(levels),
        generators=[torch.Generator()],
        device=device,
    )
    for name, weight in policy.parameters.items():
        stored = tensors.get(name)
        if stored is None or stored.shape != weight.shape[1:] or not torch.isfinite(stored).all():
            raise InputError(f"weight {name} is missing, misshapen or not finite", where=str(path), hint="train again")
        weight.detach()[0].copy_(stored)
    return policy
