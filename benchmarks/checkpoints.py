"""What a checkpoint costs to write and to read, and what micro-batches save: `python benchmarks/checkpoints.py`.

Each row is a process of its own: window 60, 16 × 8 × 128 transitions an update, synthetic bars, one thread. The peak is
what training and one evaluation took beyond what there was before them.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

SHAPES = ((64, 2), (128, 6))
"""d_model, n_layers."""

UPDATES = 12


def measure(d_model: int, n_layers: int, steps: int, batch_size: int) -> None:
    """Train a little, evaluate at the end, and print a row."""
    import torch

    from fxai.agent.process import prepare_process
    from fxai.agent.snapshot import load_snapshot, meaning_of, save_snapshot
    from fxai.agent.train import train
    from fxai.config import TrialConfig
    from fxai.evaluate.validation import Evaluator
    from fxai.market.synthetic import ar1_bars, market_from_bars

    prepare_process()
    market = market_from_bars({"A": ar1_bars(12_000, 0.2, seed=1)})
    sizes = {"total_updates": UPDATES, "eval_frequency": UPDATES, "batch_size": batch_size, "device": "cpu"}
    config = TrialConfig.model_validate(
        {
            "data": {"source": "file", "path": "{instrument}", "instruments": ["A"], "timezone": "UTC"},
            "env": {"max_episode_steps": 512},
            "model": {"window": 60, "d_model": d_model, "n_layers": n_layers},
            "training": {**sizes, "gradient_accumulation_steps": steps},
        }
    )
    assert market.validation is not None
    evaluate = Evaluator(config, market.validation, market.bars_per_year)
    meaning = meaning_of([config], [0], ruler=config, data_hash="synthetic", device=torch.device("cpu"))
    before = _peak_mib()
    updates, began = [], time.monotonic()
    with closing(train([config], [0], market.train, evaluate)) as training, tempfile.TemporaryDirectory() as folder:
        for progress in training:
            updates.append(time.monotonic() - began)
            began, latest = time.monotonic(), progress
        assert latest.snapshot is not None
        peak, path = _peak_mib() - before, Path(folder) / "checkpoint.safetensors"
        writes, reads = [], []
        for _ in range(9):
            began = time.monotonic()
            save_snapshot(path, latest.snapshot(), meaning, "x" * 30_000)
            writes.append(time.monotonic() - began)
            began = time.monotonic()
            load_snapshot(path, meaning)
            reads.append(time.monotonic() - began)
        size = path.stat().st_size / 1e6
    told = (f"{d_model} × {n_layers}", batch_size, steps, f"{min(updates):.2f}", f"{peak:.0f}")
    cost = (f"{size:.1f}", f"{1000 * statistics.median(writes):.0f}", f"{1000 * statistics.median(reads):.0f}")
    print("| " + " | ".join(map(str, (*told, *cost))) + " |", flush=True)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Every shape and number of micro-batches, a process each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, nargs=4, metavar=("D_MODEL", "N_LAYERS", "STEPS", "BATCH"))
    options = parser.parse_args()
    if options.one:
        measure(*options.one)
        return
    print(
        "| d_model × layers | batch | micro-batches | s an update | peak, MiB | checkpoint, MB | ms written | ms read |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for (d_model, n_layers), batch in zip(SHAPES, (4096, 16384), strict=True):
        for steps in (1, 4):
            row = [str(x) for x in (d_model, n_layers, steps, batch)]
            subprocess.run([sys.executable, __file__, "--one", *row], check=True)


if __name__ == "__main__":
    main()
