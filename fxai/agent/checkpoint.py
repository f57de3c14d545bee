"""Weights on disk: safetensors, with the shape they need in the header; nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from fxai.agent.policy import Policy, RunningScale
from fxai.config import ModelConfig
from fxai.env.trading import ACCOUNT_FEATURES
from fxai.errors import InputError
from fxai.files import write_bytes_atomic
from fxai.market.trained_on import TrainedOn

FORMAT = "fxai-policy-2"
_OLDER = ("fxai-policy-1",)
"""Formats that do not say what the weights were trained on."""

MAX_BYTES = 2**31
"""Larger files are refused before they are read."""


_SCALE = ("observed.mean", "observed.variance")
"""Tensors of `Policy.observed`, where there is one."""


def save_weights(
    path: Path,
    policy: Policy,
    member: int,
    *,
    feature_names: tuple[str, ...],
    levels: tuple[float, ...],
    account: tuple[str, ...] = ACCOUNT_FEATURES,
    trained_on: TrainedOn | None = None,
) -> None:
    """Write one member's weights, atomically, with the features, observations and position levels that they mean.

    Args:
        path: the file; replaced as a whole.
        policy: the population.
        member: whose weights.
        feature_names: of each bar.
        levels: that the actions mean.
        account: what else is observed.
        trained_on: the bars behind them; None where there are none, in a Gymnasium environment.
    """
    tensors = {n: w.detach()[member].cpu().contiguous() for n, w in policy.parameters.items()}
    if policy.observed is not None:
        scale = (policy.observed.mean_PO, policy.observed.variance_PO)
        tensors |= {n: x[member].cpu().contiguous() for n, x in zip(_SCALE, scale, strict=True)}
    shape = {
        "format": FORMAT,
        "model": policy.config.model_dump_json(),
        "account": json.dumps(account),
        "levels": json.dumps(levels),
        "features": json.dumps(feature_names),
    } | ({} if trained_on is None else {"trained_on": trained_on.model_dump_json()})
    write_bytes_atomic(path, save(tensors, metadata=shape))


def load_weights(
    path: Path,
    *,
    feature_names: tuple[str, ...],
    levels: tuple[float, ...],
    device: torch.device,
    account: tuple[str, ...] = ACCOUNT_FEATURES,
) -> Policy:
    """A policy of population 1.

    Raises:
        InputError: the file is missing, damaged, no FxAI policy, or trained on other features, observations or levels.
    """
    header, tensors = _open(path, tensors=True)
    here = {"features": feature_names, "account": account, "levels": levels}
    return _rebuild(path, tensors, _config(path, header, here), here, device)


def read_trained_on(path: Path) -> tuple[TrainedOn, tuple[str, ...]]:
    """The bars behind a weights file and the names of their features; its tensors are not read.

    Raises:
        InputError: the file is missing, damaged, no FxAI policy, or says nothing of bars.
    """
    header, _ = _open(path, tensors=False)
    if "trained_on" not in header:
        raise InputError(
            "these weights were not trained on bars of a market",
            where=str(path),
            hint="use the config that the weights were trained with",
        )
    try:
        features = tuple(str(name) for name in json.loads(header["features"]))
        return TrainedOn.model_validate_json(header["trained_on"]), features
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("the header of the weights file is damaged", where=str(path), hint="train again") from error


def _open(path: Path, *, tensors: bool) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Header and tensors of an FxAI policy; no tensors where they are not wanted."""
    if not path.is_file():
        raise InputError("there is no such weights file", where=str(path), hint="poe train writes weights.safetensors")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES} bytes, so no FxAI policy", where=str(path))
    try:
        with safe_open(str(path), framework="pt") as file:
            header: dict[str, Any] = file.metadata() or {}
            names = list(file.keys()) if tensors else []
            found = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"not readable as safetensors ({error})", where=str(path), hint="train again") from error
    if header.get("format") in _OLDER:
        raise InputError(
            "these weights are of an older format, which does not say on which bars they were trained",
            where=str(path),
            hint="train again",
        )
    if header.get("format") != FORMAT:
        raise InputError("these are no FxAI policy weights", where=str(path))
    return header, found


def _config(path: Path, header: dict[str, Any], here: dict[str, tuple[Any, ...]]) -> ModelConfig:
    """The model's shape, where the header means what is wanted here."""
    try:
        config = ModelConfig.model_validate_json(header["model"])
        trained = {name: tuple(json.loads(header[name])) for name in here}
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise InputError("the header of the weights file is damaged", where=str(path)) from error
    for name, what in (("features", "bar features"), ("account", "observations"), ("levels", "position levels")):
        if trained[name] != here[name]:
            own, wanted = (", ".join(map(str, each[name])) or "none" for each in (trained, here))
            raise InputError(
                f"trained with the {what} {own}; here they are {wanted}",
                where=str(path),
                hint="use the config that the weights were trained with",
            )
    return config


def _rebuild(
    path: Path,
    tensors: dict[str, torch.Tensor],
    config: ModelConfig,
    here: dict[str, tuple[Any, ...]],
    device: torch.device,
) -> Policy:
    policy = Policy(
        config,
        n_features=len(here["features"]),
        n_account=len(here["account"]),
        n_actions=len(here["levels"]),
        generators=[torch.Generator()],
        device=device,
    )

    def stored(name: str, shape: torch.Size) -> torch.Tensor:
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape or not torch.isfinite(tensor).all():
            raise InputError(f"weight {name} is missing, misshapen or not finite", where=str(path), hint="train again")
        return tensor

    for name, weight in policy.parameters.items():
        weight.detach()[0].copy_(stored(name, weight.shape[1:]))
    if any(name in tensors for name in _SCALE):
        mean, variance = (stored(name, torch.Size([len(here["account"])]))[None].to(device) for name in _SCALE)
        policy.observed = RunningScale(mean, variance)
    return policy
