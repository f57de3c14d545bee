"""Environment steps per second, without any agent: FxAI's batched accounts beside gym-anytrading, random actions.

What is measured: wall time of whole stretches after a warm-up; steps over that time. A step of FxAI is one bar of one
account with all that an agent gets of it: fill, costs, equity, stop, what the account shows, the bar's features in
windows, and the reward, over stretches that start at rows drawn anew. Drawing random actions is in the time measured.

- FxAI, batched: `--accounts` accounts, `--share` on each stretch of bars, walked as in training (`fxai.agent.rollout`
  without the policy): float64 accounts, the reward of a stretch worked out at once.
- gym-anytrading: `forex-v0`, one environment, `env.step` until the end, then `env.reset`, without Gymnasium's checker.
- FxAI, 64 in Gym: `gymnasium.make_vec("FxAI/Trading-v0", 64)`, what other libraries train on where speed counts: each
  account on a stretch of its own, with observation, reward and info at every step.
- FxAI, one in Gym: `gymnasium.make("FxAI/Trading-v0")`, the same loop as gym-anytrading. It steps the batched account
  with one entry, so it pays for some two hundred small tensor operations.

How: every run is a process of its own on one thread, pinned to the same core where the platform can: a training of
FxAI takes one thread, and more cores take more trainings. The runs alternate, so that noise of the machine meets all;
ratios are taken within each round, and medians are over rounds.

    python benchmarks/env_speed.py --repeats 5 --seconds 5      # needs the extra `bench`
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from apart import Result, cores, measure, processor, run_apart, speed

WINDOW, STEPS, IN_GYM = 60, 64, 64
CONTENDERS = ("fxai", "anytrading", "vector", "single")
TITLES = {
    "fxai": "FxAI",
    "anytrading": "gym-anytrading",
    "vector": f"FxAI, {IN_GYM} in Gym",
    "single": "FxAI, one in Gym",
}

Stretch = Callable[[], int]
"""Walks some steps and returns how many."""


def main() -> None:
    options = _options()
    if options.contender:
        print(json.dumps(_run_here(options)))
        return
    print(f"{processor()}, 1 of {len(cores())} cores, Python {platform.python_version()}")
    rounds: list[dict[str, Result]] = []
    for number in range(options.repeats):
        results = {name: _run_apart(name, options) for name in CONTENDERS}
        if not rounds:
            for name, result in results.items():
                print(f"{TITLES[name]:<18} {result['settings']}")
            print("\nround " + " ".join(f"{TITLES[name]:>18} {'cores busy':>10}" for name in CONTENDERS) + "   ratio")
        rounds.append(results)
        cells = [f"{speed(r):>18,.0f} {r['cpu_s'] / r['wall_s']:>10.2f}" for r in results.values()]
        print(f"{number + 1:>5} {' '.join(cells)} {_ratio(results):>7.1f}", flush=True)
    print()
    for name in CONTENDERS:
        print(f"{TITLES[name]:<18} median {median(speed(r[name]) for r in rounds):>12,.0f} steps/s")
    ratios = [_ratio(results) for results in rounds]
    print(f"{'ratio':<18} median {median(ratios):>12.1f}   range {min(ratios):.1f} to {max(ratios):.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds of runs")
    parser.add_argument("--seconds", type=float, default=5.0, help="a run measures whole stretches for at least this")
    parser.add_argument("--accounts", type=int, default=4096, help="of the batch")
    parser.add_argument("--share", type=int, default=8, help="accounts on each stretch of bars")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeats < 1 or options.share < 1 or options.accounts < 1 or options.accounts % options.share:
        parser.error("--repeats and --share are at least 1, and --accounts is a multiple of --share")
    return options


def _ratio(results: dict[str, Result]) -> float:
    return speed(results["fxai"]) / speed(results["anytrading"])


# one run ------------------------------------------------------------------------------------------------------------


def _run_apart(contender: str, options: argparse.Namespace) -> Result:
    passed = {"contender": contender, "seconds": options.seconds}
    passed |= {"accounts": options.accounts, "share": options.share}
    return run_apart(Path(__file__), TITLES[contender], passed, threads=1)


def _run_here(options: argparse.Namespace) -> Result:
    """Measure one contender in this process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[-1:])
    stretch, settings = PREPARE[options.contender](options)
    for _ in range(2):
        stretch()
    return {**measure(stretch, options.seconds), "settings": settings}


def _prepare_fxai(options: argparse.Namespace) -> tuple[Stretch, str]:
    import torch

    from fxai.agent.process import prepare_process
    from fxai.agent.rollout import stack_steps
    from fxai.config import EnvConfig
    from fxai.env.account import fresh, outcome, renew, step
    from fxai.env.rewards import RewardFunction
    from fxai.env.trading import TradingEnv

    prepare_process(1)
    config, part, cpu = EnvConfig(), _part(), torch.device("cpu")
    env, reward = TradingEnv(part, [config], cpu), RewardFunction([config.reward], cpu)
    segments = options.accounts // options.share
    new = fresh(env.rules, segments, options.share)
    (low, high), *_ = env.starts(STEPS, WINDOW)
    draw = torch.Generator().manual_seed(0)

    def stretch() -> int:
        rows = torch.randint(low, high, (1, segments), generator=draw)
        actions = torch.randint(env.n_actions, (STEPS, 1, segments, options.share), generator=draw).unbind()
        env.windows(rows, WINDOW - 1, STEPS + 1)
        stack, bars = env.bars(rows, STEPS)
        state, walked = new, []
        with torch.inference_mode():
            for action, bar in zip(actions, bars, strict=True):
                env.observe(state, bar.close_before)
                walked.append(step(state, action, bar, env.rules))
                state = renew(walked[-1], new)
        reward(outcome(stack_steps(walked), stack))
        return options.accounts * STEPS

    text = f"{options.accounts:,} accounts, {options.share} on each of {segments} stretches of {STEPS} bars"
    return stretch, f"{text}; {env.n_actions} actions; windows of {WINDOW} bars × {part.features_NF.shape[1]} features"


def _prepare_anytrading(options: argparse.Namespace) -> tuple[Stretch, str]:
    import gym_anytrading  # type: ignore[import-untyped]  # registers forex-v0
    import gymnasium

    bars = gym_anytrading.datasets.FOREX_EURUSD_1H_ASK
    frame: dict[str, Any] = {"window_size": WINDOW, "frame_bound": (WINDOW, len(bars))}
    env = gymnasium.make("forex-v0", disable_env_checker=True, **frame)
    return _episode(env), f"1 environment; {env.action_space.n} actions; windows of {WINDOW} bars × 2 features"  # type: ignore[attr-defined]


def _prepare_single(options: argparse.Namespace) -> tuple[Stretch, str]:
    import gymnasium

    from fxai.agent.process import prepare_process
    from fxai.config import EnvConfig
    from fxai.env.gym import ENV_ID

    prepare_process(1)
    part = _part()
    env = gymnasium.make(ENV_ID, disable_env_checker=True, config=EnvConfig(), part=part, window=WINDOW)
    n_features = part.features_NF.shape[1]
    text = f"1 environment; {env.action_space.n} actions; windows of {WINDOW} bars × {n_features} features"  # type: ignore[attr-defined]
    return _episode(env), text


def _prepare_vector(options: argparse.Namespace) -> tuple[Stretch, str]:
    import gymnasium
    import numpy as np

    from fxai.agent.process import prepare_process
    from fxai.config import EnvConfig
    from fxai.env.gym import ENV_ID

    prepare_process(1)
    made: dict[str, Any] = {"config": EnvConfig(), "part": _part(), "window": WINDOW}
    env = gymnasium.make_vec(ENV_ID, IN_GYM, "vector_entry_point", **made)
    rng, n = np.random.default_rng(0), int(env.single_action_space.n)  # type: ignore[attr-defined]
    env.reset(seed=0)

    def stretch() -> int:
        for _ in range(STEPS):
            env.step(rng.integers(n, size=IN_GYM))
        return IN_GYM * STEPS

    return stretch, f"{IN_GYM} accounts; as one in Gym otherwise"


def _episode(env: Any) -> Stretch:
    """A whole episode of a Gymnasium environment with random actions."""
    import numpy as np

    rng, n = np.random.default_rng(0), int(env.action_space.n)
    env.reset(seed=0)

    def stretch() -> int:
        env.reset()
        steps, over = 0, False
        while not over:
            _, _, terminated, truncated, _ = env.step(int(rng.integers(n)))
            steps, over = steps + 1, terminated or truncated
        return steps

    return stretch


PREPARE: dict[str, Callable[[argparse.Namespace], tuple[Stretch, str]]] = {
    "fxai": _prepare_fxai,
    "anytrading": _prepare_anytrading,
    "vector": _prepare_vector,
    "single": _prepare_single,
}


def _part() -> Any:
    """A market of as many bars as a few years of hours have."""
    from fxai.market.synthetic import ar1_bars, market_from_bars

    part = market_from_bars({"SYNTH": ar1_bars(30_000, 0.1)}, parts=("train",)).train
    assert part is not None
    return part


if __name__ == "__main__":
    main()
