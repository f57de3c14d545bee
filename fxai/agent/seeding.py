"""One seed per member, split into independent streams, one for each use of chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class MemberStreams:
    """CPU generators of one member: the same numbers on every device, and whatever its neighbours do."""

    weights: torch.Generator
    starts: torch.Generator
    actions: torch.Generator
    dropout: torch.Generator
    batches: torch.Generator

    @classmethod
    def from_seed(cls, seed: int) -> MemberStreams:
        """Streams from NumPy's SeedSequence, which keeps neighbouring seeds independent."""
        states = np.random.SeedSequence(seed).generate_state(5, np.uint64)
        return cls(*(torch.Generator().manual_seed(int(state) >> 1) for state in states))

    def state(self) -> dict[str, Tensor]:
        """Where each stream is."""
        return {f.name: getattr(self, f.name).get_state() for f in fields(self)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            RuntimeError: that is no state of a generator.
        """
        for f in fields(self):
            getattr(self, f.name).set_state(state[f.name])


def member_seeds(seed: int, n_seeds: int) -> list[int]:
    """Seeds of the members of one trial."""
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(n_seeds, np.uint32)]
