"""Environment steps trained per second: FxAI beside Stable-Baselines3 PPO on gym-anytrading.

What is measured: wall time of whole updates, rollout and gradient steps together, after a warm-up; steps over that
time. Both train a causal transformer over the last `WINDOW` bars of the same depth, width, heads and feed-forward
width, with a head of the same width and the same number of epochs, in float32 on the CPU. Both sizes are printed.

- FxAI: `fxai.agent.train.train` on a synthetic market, one member, the default numbers of segments, accounts and steps,
  in a process prepared as FxAI's workers are (`fxai.agent.process`).
- Stable-Baselines3: PPO on `forex-v0`; its features extractor is `torch.nn.TransformerEncoder`, read at the last bar.

How: every run is a process of its own, with the same number of threads and pinned to the same cores where the
platform can. The runs alternate, so that noise of the machine meets both; a ratio is taken within each pair, and
medians are over pairs. Memory is the peak resident size of the process, and what it had after its imports.

What is not measured: how well an agent learns. The environments differ too: FxAI's accounts share bars, and more
transitions go into one of its updates; what each took is printed.

    python benchmarks/train_speed.py --threads 1 --repeats 3 --seconds 20      # needs the extra `bench`
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from apart import Result, cores, measure, processor, run_apart, speed

WINDOW, D_MODEL, N_LAYERS, N_HEADS, FF_MULTIPLIER, HEAD_WIDTH = 60, 64, 2, 4, 2, 64
EPOCHS = 4
CONTENDERS = ("fxai", "sb3")
TITLES = {"fxai": "FxAI", "sb3": "Stable-Baselines3"}


def main() -> None:
    options = _options()
    if options.contender:
        print(json.dumps(_run_here(options)))
        return
    _print_machine(options)
    pairs: list[dict[str, Result]] = []
    for number in range(options.repeats):
        pair = {name: _run_apart(name, options) for name in CONTENDERS}
        if not pairs:
            _print_settings(pair)
            _print_head()
        pairs.append(pair)
        _print_pair(number, pair)
    _print_summary(pairs)


def _options() -> argparse.Namespace:
    available = len(cores())
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=available, help="threads and cores of each run")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs")
    parser.add_argument("--seconds", type=float, default=20.0, help="a run measures whole updates for at least this")
    parser.add_argument("--sb3-envs", type=int, default=1, help="environments of its DummyVecEnv")
    parser.add_argument("--sb3-steps", type=int, default=2048, help="its rollout, all environments together")
    parser.add_argument("--sb3-batch", type=int, default=128, help="its minibatch")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.threads <= available:
        parser.error(f"--threads {options.threads}: this process may use 1 to {available} cores")
    if options.repeats < 1 or options.sb3_envs < 1:
        parser.error("--repeats and --sb3-envs are at least 1")
    if options.sb3_steps % options.sb3_envs or options.sb3_steps % options.sb3_batch:
        parser.error("--sb3-steps must be a multiple of --sb3-envs and of --sb3-batch")
    return options


# one run ------------------------------------------------------------------------------------------------------------


def _run_apart(contender: str, options: argparse.Namespace) -> Result:
    passed = {"contender": contender, "threads": options.threads, "seconds": options.seconds}
    passed |= {"sb3-envs": options.sb3_envs, "sb3-steps": options.sb3_steps, "sb3-batch": options.sb3_batch}
    return run_apart(Path(__file__), TITLES[contender], passed, threads=options.threads)


def _run_here(options: argparse.Namespace) -> Result:
    """Measure one contender in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[: options.threads])
    import torch

    torch.set_num_threads(options.threads)
    # prepare imports what it needs, so that memory after imports is known before anything is built
    prepare = {"fxai": _prepare_fxai, "sb3": _prepare_sb3}[options.contender](options)
    import_mib = _peak_mib()
    update, about = prepare()
    measured = measure(update, options.seconds)
    return {**measured, "import_mib": import_mib, "peak_mib": _peak_mib(), "torch": torch.__version__, **about}


def _peak_mib() -> float:
    """Peak resident size of this process so far; the kernel counts KiB, macOS counts bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


Prepared = Callable[[], tuple[Callable[[], int], Result]]
"""Builds a contender; returns its update, and its size and settings."""


# FxAI ---------------------------------------------------------------------------------------------------------------


def _prepare_fxai(options: argparse.Namespace) -> Prepared:
    from fxai.agent.process import prepare_process
    from fxai.agent.train import train
    from fxai.config import TrialConfig
    from fxai.market.synthetic import ar1_bars, market_from_bars

    prepare_process(options.threads)

    def build() -> tuple[Callable[[], int], Result]:
        part = market_from_bars({"SYNTH": ar1_bars(20_000, 0.2)}, parts=("train",)).train
        assert part is not None
        config = TrialConfig.model_validate(_fxai_settings())
        progress = train([config], [0], part, lambda policy: [{}])
        trained = 0

        def update() -> int:
            nonlocal trained
            before, trained = trained, next(progress).env_steps
            return trained - before

        first = next(progress)
        trained = first.env_steps
        update()
        encoder, head = _fxai_parameters(first.policy.parameters)
        t = config.training
        settings = {
            "market": f"synthetic, {len(part.close_N):,} bars, {part.features_NF.shape[1]} features a bar, "
            f"{first.policy.n_account} of the account",
            "actions": str(first.policy.n_actions),
            "transitions per update": f"{trained // 2:,} = {t.n_segments} segments × {t.accounts_per_segment} accounts "
            f"× {t.rollout_steps} steps",
            "minibatch": f"{t.batch_size:,}, {t.n_epochs} epochs",
        }
        return update, {"encoder": encoder, "head": head, "settings": settings}

    return build


def _fxai_settings() -> dict[str, Any]:
    model = {"window": WINDOW, "d_model": D_MODEL, "n_layers": N_LAYERS, "n_heads": N_HEADS}
    model |= {"ff_multiplier": FF_MULTIPLIER, "head_width": HEAD_WIDTH}
    training = {"n_epochs": EPOCHS, "device": "cpu", "total_updates": 10**9, "eval_frequency": 10**9}
    # the market is made here; `data` has to be there, and is not read
    data = {"source": "file", "path": "none", "timezone": "UTC", "instruments": ["SYNTH"]}
    return {"data": data, "model": model, "training": training}


def _fxai_parameters(parameters: dict[str, Any]) -> tuple[int, int]:
    """Weights of one member in the encoder and in the head."""
    head = sum(weight[0].numel() for name, weight in parameters.items() if name.startswith("head."))
    return sum(weight[0].numel() for weight in parameters.values()) - head, head


# Stable-Baselines3 --------------------------------------------------------------------------------------------------


def _prepare_sb3(options: argparse.Namespace) -> Prepared:
    import gym_anytrading  # type: ignore[import-untyped]  # registers forex-v0
    import gymnasium
    from stable_baselines3 import PPO
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv

    bars = gym_anytrading.datasets.FOREX_EURUSD_1H_ASK
    frame: dict[str, Any] = {"window_size": WINDOW, "frame_bound": (WINDOW, len(bars)), "disable_env_checker": True}
    extractor = _transformer_extractor()

    def new(rollout: int) -> Any:
        return PPO(
            "MlpPolicy",
            DummyVecEnv([lambda: Monitor(gymnasium.make("forex-v0", **frame))] * options.sb3_envs),
            n_steps=rollout // options.sb3_envs,
            batch_size=options.sb3_batch,
            n_epochs=EPOCHS,
            policy_kwargs={
                "features_extractor_class": extractor,
                "net_arch": {"pi": [HEAD_WIDTH], "vf": [HEAD_WIDTH]},
            },
            device="cpu",
            seed=0,
        )

    def build() -> tuple[Callable[[], int], Result]:
        new(options.sb3_batch * options.sb3_envs).learn(options.sb3_batch * options.sb3_envs)  # warms up
        agent = new(options.sb3_steps)

        def update() -> int:
            before = agent.num_timesteps
            agent.learn(options.sb3_steps, reset_num_timesteps=False)
            return int(agent.num_timesteps - before)

        every, encoder = (
            sum(p.numel() for p in module.parameters()) for module in (agent.policy, agent.policy.features_extractor)
        )
        settings = {
            "market": f"forex-v0, {len(bars):,} bars, {agent.observation_space.shape[1]} features a bar, "
            "0 of the account",
            "actions": str(agent.action_space.n),
            "transitions per update": f"{options.sb3_steps:,} = {options.sb3_envs} environment(s) "
            f"× {options.sb3_steps // options.sb3_envs} steps",
            "minibatch": f"{options.sb3_batch:,}, {EPOCHS} epochs",
        }
        return update, {"encoder": encoder, "head": every - encoder, "settings": settings}

    return build


def _transformer_extractor() -> type:
    """The features extractor; a class made late, since its base is an optional dependency."""
    import torch
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from torch import Tensor, nn

    class LastToken(BaseFeaturesExtractor):
        """A causal pre-norm transformer over the window, its output at the last bar."""

        def __init__(self, observation_space: Any) -> None:
            super().__init__(observation_space, features_dim=D_MODEL)
            rows, features = observation_space.shape
            self.input = nn.Linear(features, D_MODEL)
            layer = nn.TransformerEncoderLayer(
                D_MODEL, N_HEADS, D_MODEL * FF_MULTIPLIER, dropout=0.0, batch_first=True, norm_first=True
            )
            norm = nn.LayerNorm(D_MODEL)
            self.layers = nn.TransformerEncoder(layer, N_LAYERS, norm=norm, enable_nested_tensor=False)
            angle = torch.arange(rows)[:, None] * 10_000.0 ** (-torch.arange(0, D_MODEL, 2) / D_MODEL)
            self.register_buffer("position", torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1))
            self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(rows))

        def forward(self, observations: Tensor) -> Tensor:
            rows = self.input(observations) + self.position
            encoded: Tensor = self.layers(rows, mask=self.mask, is_causal=True)
            return encoded[:, -1]

    return LastToken


# what is printed ----------------------------------------------------------------------------------------------------


def _print_machine(options: argparse.Namespace) -> None:
    print(f"{processor()}, {options.threads} of {len(cores())} cores, Python {platform.python_version()}")
    print(f"window {WINDOW}, d_model {D_MODEL}, {N_LAYERS} layers, {N_HEADS} heads, ff_multiplier {FF_MULTIPLIER}")
    if options.threads < len(cores()) and not hasattr(os, "sched_setaffinity"):
        print("runs are not pinned to cores on this platform")


def _print_settings(pair: dict[str, Result]) -> None:
    for name in CONTENDERS:
        result = pair[name]
        total = result["encoder"] + result["head"]
        print(f"\n{TITLES[name]} (torch {result['torch']})")
        print(f"  {'parameters':<24}{total:,} = encoder {result['encoder']:,} + head {result['head']:,}")
        for label, text in result["settings"].items():
            print(f"  {label:<24}{text}")
    print()


def _print_head() -> None:
    cells = [f"{TITLES[name] + ' steps/s':>25} {'cores busy':>10}" for name in CONTENDERS]
    print(f"pair {' '.join(cells)}   ratio")


def _print_pair(number: int, pair: dict[str, Result]) -> None:
    cells = [f"{speed(pair[n]):>25,.0f} {pair[n]['cpu_s'] / pair[n]['wall_s']:>10.2f}" for n in CONTENDERS]
    print(f"{number + 1:>4} {' '.join(cells)} {speed(pair['fxai']) / speed(pair['sb3']):>7.1f}", flush=True)


def _print_summary(pairs: list[dict[str, Result]]) -> None:
    ratios = [speed(pair["fxai"]) / speed(pair["sb3"]) for pair in pairs]
    print()
    for name in CONTENDERS:
        results = [pair[name] for pair in pairs]
        rate, peak, at_import = (
            median(values)
            for values in (
                [speed(r) for r in results],
                [r["peak_mib"] for r in results],
                [r["import_mib"] for r in results],
            )
        )
        memory = f"peak memory {peak:,.0f} MiB ({at_import:,.0f} after imports)"
        print(f"{TITLES[name]:<18} median {rate:>9,.0f} steps/s   {memory}")
    print(f"{'ratio':<18} median {median(ratios):>9.1f}   range {min(ratios):.1f} to {max(ratios):.1f}")


if __name__ == "__main__":
    main()
