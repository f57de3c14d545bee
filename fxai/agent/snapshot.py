"""A training as it stands between two updates, in one file: safetensors with a header; nothing is ever unpickled.

A file is believed only where it is whole (checksum), of this format, and made by the same training: `Meaning`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import fxai
from fxai.config import TrialConfig
from fxai.config.data import FILE_OPTIONS
from fxai.errors import InputError
from fxai.files import write_bytes_atomic

FORMAT = "fxai-snapshot-1"

MAX_BYTES = 2**32
"""Larger files are refused before they are read."""

State = Mapping[str, Tensor]
"""What a part of a training carries from update to update, by name; plain numbers as tensors without axes."""

Meaning = dict[str, str]
"""What a snapshot must have been made with to be continued, by topic: hashes and versions."""

_NOTES = "notes"
"""Tensor of the caller's own text, UTF-8; a header is limited to 100 MB."""

_WITHOUT_EFFECT = {"training": {"device", "gradient_accumulation_steps"}, "wandb": True}


class BadSnapshot(InputError):
    """A snapshot that is damaged, or belongs to another training."""


class Lasting(Protocol):
    """A part of a training that lives from update to update."""

    def state(self) -> dict[str, Tensor]:
        """What it carries; the tensors may be the live ones."""

    def load_state(self, state: State) -> None:
        """Go on from what `state` gave: the same names, shapes and types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that lives from update to update, copied to the CPU."""

    update: int
    """Updates done."""
    stopped: tuple[str | None, ...]
    """Per member, why it was stopped."""
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, parts: Mapping[str, Lasting], update: int, stopped: Sequence[str | None]) -> Snapshot:
        """Copy what the parts carry."""
        tensors = {name: x.detach().to("cpu", copy=True).contiguous() for name, x in _joined(parts).items()}
        return cls(update=update, stopped=tuple(stopped), tensors=tensors)

    def put_back(self, parts: Mapping[str, Lasting]) -> None:
        """Let the parts go on from here.

        Raises:
            BadSnapshot: it does not fit them; they may have changed in part.
        """
        wanted = _joined(parts)
        for name in sorted(wanted.keys() | self.tensors.keys()):
            mine, own = self.tensors.get(name), wanted.get(name)
            if mine is None or own is None or mine.shape != own.shape or mine.dtype != own.dtype:
                raise BadSnapshot(f"{name} is {_shape(mine)}, and {_shape(own)} is needed")
        for part, each in parts.items():
            begin = len(part) + 1
            own_state = {n[begin:]: x for n, x in self.tensors.items() if n.startswith(f"{part}.")}
            try:
                each.load_state(own_state)
            except (RuntimeError, ValueError) as error:  # of a generator, which checks its own state
                raise BadSnapshot(f"{part} cannot go on from it: {' '.join(str(error).split())}") from error


def _joined(parts: Mapping[str, Lasting]) -> dict[str, Tensor]:
    return {f"{part}.{name}": x for part, each in parts.items() for name, x in each.state().items()}


def _shape(x: Tensor | None) -> str:
    return "missing" if x is None else f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}"


def meaning_of(
    configs: Sequence[TrialConfig],
    seeds: Sequence[int],
    *,
    ruler: TrialConfig,
    data_hash: str | None,
    device: torch.device,
) -> Meaning:
    """What decides the course of a training.

    Args:
        configs: of the members.
        seeds: of the members.
        ruler: what scores them.
        data_hash: of the bars, which stands for where they lie and how they were read; None without a market.
        device: its kind counts, not its number.
    """

    def told(config: TrialConfig) -> dict[str, object]:
        files = {"data": set(FILE_OPTIONS)} if data_hash else {}
        return config.model_dump(mode="json", exclude={**_WITHOUT_EFFECT, **files})  # type: ignore[arg-type]

    return {
        "config": _hash([told(config) for config in configs]),
        "seeds": _hash(list(seeds)),
        "ruler": _hash(told(ruler)),
        "bars": data_hash or "none",
        "torch": torch.__version__,
        "fxai": fxai.__version__,
        "device": device.type,
    }


def _hash(what: object) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True, allow_nan=False).encode()).hexdigest()


def save_snapshot(path: Path, snapshot: Snapshot, meaning: Meaning, notes: str = "") -> None:
    """Replace `path`, atomically.

    Args:
        path: the file.
        snapshot: of the training.
        meaning: of the training, `meaning_of`.
        notes: kept beside it for the caller.

    Raises:
        InputError, StorageError: the file cannot be written.
    """
    text = torch.frombuffer(bytearray(notes.encode() or b" "), dtype=torch.uint8)
    tensors = {**snapshot.tensors, _NOTES: text}
    header = {
        "format": FORMAT,
        "update": str(snapshot.update),
        "stopped": json.dumps(snapshot.stopped),
        "meaning": json.dumps(meaning),
    }
    header["checksum"] = _checksum(header, tensors)
    write_bytes_atomic(path, save(tensors, metadata=header))


def load_snapshot(path: Path, meaning: Meaning) -> tuple[Snapshot, str]:
    """The snapshot and its notes.

    Raises:
        BadSnapshot: it is missing, damaged, a link, or made by another training.
    """
    header, tensors = _read(path)
    try:
        update, told = int(header["update"]), dict(json.loads(header["meaning"]))
        stopped = tuple(None if why is None else str(why) for why in json.loads(header["stopped"]))
        differing = [topic for topic in meaning if told.get(topic) != meaning[topic]]
        whole = header["checksum"] == _checksum(header, tensors)
        notes = bytes(tensors.pop(_NOTES).numpy()).decode().strip()
    except (KeyError, TypeError, ValueError) as error:
        raise BadSnapshot("its header is damaged", where=str(path)) from error
    if not whole:
        raise BadSnapshot("it is damaged: its checksum does not fit", where=str(path))
    if differing:
        raise BadSnapshot(f"it was made with another {', another '.join(differing)}", where=str(path))
    broken = [n for n, x in tensors.items() if n.startswith(_FINITE) and not torch.isfinite(x).all()]
    if broken:
        raise BadSnapshot(f"{broken[0]} is not finite", where=str(path))
    return Snapshot(update=update, stopped=stopped, tensors=tensors), notes


_FINITE = ("policy.", "walker.")
"""Parts that are finite also of a member that was stopped; its moments need not be."""


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if path.is_symlink() or not path.is_file():
        raise BadSnapshot("it is no regular file", where=str(path))
    if path.stat().st_size > MAX_BYTES:
        raise BadSnapshot(f"it is larger than {MAX_BYTES} bytes", where=str(path))
    try:
        with safe_open(str(path), framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise BadSnapshot("it is no snapshot of this version", where=str(path))
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadSnapshot(f"it is not readable as safetensors ({error})", where=str(path)) from error


def _checksum(header: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the header and every byte of every tensor."""
    total = hashlib.sha256(json.dumps({k: v for k, v in header.items() if k != "checksum"}, sort_keys=True).encode())
    for name in sorted(tensors):
        total.update(f"{name} {_shape(tensors[name])}".encode())
        total.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
