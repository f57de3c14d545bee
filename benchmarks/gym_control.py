"""What the PPO core finds on CartPole-v1 and Acrobot-v1, where published results exist; no market is involved.

Each environment is trained with its file of config/base, several seeds as one population, and scored with the likeliest
actions on 20 fixed episodes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import train
from fxai.config.load import load_trial_config
from fxai.evaluate.gym_episodes import GymEvaluator

BASE = Path(__file__).parents[1] / "config" / "base"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--only", choices=["cartpole", "acrobot"], help="default: both")
    options = parser.parse_args()
    prepare_process()
    for name in [options.only] if options.only else ["cartpole", "acrobot"]:
        config = load_trial_config(BASE / f"{name}.yaml")
        assert config.env.gym_id is not None
        began = time.monotonic()
        members = [config] * options.seeds
        evaluate = GymEvaluator(config.env.gym_id, config.training.eval_episodes)
        for progress in train(members, member_seeds(config.training.seed, options.seeds), None, evaluate):
            if progress.scores is not None:
                returns = [scores["mean_reward"] for scores in progress.scores]
                steps, shown = progress.env_steps // options.seeds, "  ".join(f"{value:6.1f}" for value in returns)
                print(f"{config.env.gym_id}  {steps:7,} steps  median {np.median(returns):6.1f}  seeds {shown}")
        rate = progress.env_steps / (time.monotonic() - began)
        print(f"{config.env.gym_id}  {rate:,.0f} env steps a second, all seeds together, evaluation included")


if __name__ == "__main__":
    main()
