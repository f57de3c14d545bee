"""PPO from start to end, as a generator of progress; it knows nothing of Optuna.

Axes: P population, S segments, K accounts, T steps.
A population is P trainings of one shape: seeds of one trial, or trials that differ in scalars only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fxai.agent.gae import discounted_returns, gae
from fxai.agent.gym_walker import GymWalker
from fxai.agent.optimizer import PopulationAdam
from fxai.agent.policy import Policy
from fxai.agent.rollout import Rollout, Walker
from fxai.agent.seeding import MemberStreams
from fxai.agent.snapshot import BadSnapshot, Lasting, Snapshot
from fxai.agent.update import LOSS_NAMES, LossWeights, as_batch, update
from fxai.config import TrainingConfig, TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.errors import InputError
from fxai.market.data import MarketPart

Scores = dict[str, float]
"""One member's metrics on validation."""

Evaluate = Callable[[Policy], list[Scores]]
"""Score every member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known after an update."""

    update: int
    """1-based."""
    total_updates: int
    env_steps: int
    """Environment steps of all members so far."""
    losses: list[dict[str, float]]
    """Per member: the means of `LOSS_NAMES`, grad_norm, explained_variance, step_reward."""
    scores: list[Scores] | None
    """Per member, where this update was evaluated."""
    stopped: tuple[str | None, ...]
    """Per member, why it was stopped."""
    policy: Policy
    """The present weights; changed by the next update."""
    snapshot: Callable[[], Snapshot] | None = None
    """Takes a snapshot of the training, until the next update; None in a Gymnasium environment, whose copies cannot be
    saved."""


def resolve_device(name: str) -> torch.device:
    """`auto` is the first GPU, or the CPU.

    Raises:
        InputError: the GPU asked for does not exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"there is no {name}: torch sees {torch.cuda.device_count()} CUDA devices",
            where="training.device",
            hint="use auto or cpu, or install a CUDA build of torch",
        )
    return device


def train(
    configs: Sequence[TrialConfig],
    seeds: Sequence[int],
    part: MarketPart | None,
    evaluate: Evaluate,
    *,
    resume: Snapshot | None = None,
) -> Generator[Progress, None, None]:
    """Train a population.

    Args:
        configs: one per member; they must agree on all that gives tensors their shape (`check_shapes`).
        seeds: one per member.
        part: the training part of the market; None where `env.gym_id` takes its place.
        evaluate: called every `eval_frequency` updates and after the last.
        resume: go on after its last update; on a CPU all that follows is bit by bit as it would have been.

    Yields:
        Progress after every update. Ends early when every member has stopped.

    Raises:
        BadSnapshot: `resume` does not fit, at the call.
    """
    first = configs[0]
    check_shapes(configs)
    device = resolve_device(first.training.device)
    streams = [MemberStreams.from_seed(seed) for seed in seeds]
    walker = new_walker(configs, part, streams, device)
    try:
        policy = walker.policy(first.model, device)
        policy.rows_at_once = rows_at_once(first)
        learner = Learner(configs, walker, policy, streams)
        if resume is not None:
            learner.go_on(resume)
    except BaseException:
        walker.close()
        raise
    return _updates(first.training, learner, policy, evaluate, walker)


def _updates(
    t: TrainingConfig, learner: Learner, policy: Policy, evaluate: Evaluate, walker: Walker | GymWalker
) -> Generator[Progress, None, None]:
    with closing(walker):
        yield from _steps(t, learner, policy, evaluate)


def _steps(t: TrainingConfig, learner: Learner, policy: Policy, evaluate: Evaluate) -> Generator[Progress, None, None]:
    per_update = policy.population * t.n_segments * t.transitions_per_segment
    if not any(learner.alive):
        return
    for number in range(learner.updates + 1, t.total_updates + 1):
        losses = learner.update()
        over = number == t.total_updates or not any(learner.alive)
        scores = evaluate(policy) if over or number % t.eval_frequency == 0 else None
        yield Progress(
            update=number,
            total_updates=t.total_updates,
            env_steps=number * per_update,
            losses=losses,
            scores=scores,
            stopped=tuple(learner.stopped),
            policy=policy,
            snapshot=learner.snapshot if learner.can_be_saved else None,
        )
        if over:
            return


def rows_at_once(config: TrialConfig) -> int | None:
    """Rows of bars in a micro-batch: no pass of the encoder takes more at once. None where minibatches are not cut."""
    t = config.training
    if t.gradient_accumulation_steps == 1:
        return None
    return t.segments_per_micro_batch * (config.model.window + t.rollout_steps)


def new_walker(
    configs: Sequence[TrialConfig], part: MarketPart | None, streams: Sequence[MemberStreams], device: torch.device
) -> Walker | GymWalker:
    """What walks the training part of the market, or the Gymnasium environment in its place."""
    first, t = configs[0].env, configs[0].training
    if first.gym_id is not None:
        return GymWalker(
            first.gym_id,
            segments=t.n_segments,
            accounts=t.accounts_per_segment,
            steps=t.rollout_steps,
            streams=streams,
        )
    assert part is not None, "without env.gym_id there is a market to train in"
    return Walker(
        TradingEnv(part, [c.env for c in configs], device),
        segments=t.n_segments,
        accounts=t.accounts_per_segment,
        steps=t.rollout_steps,
        episode_steps=first.max_episode_steps,
        window=configs[0].model.window,
        reward=RewardFunction([c.env.reward for c in configs], device),
        streams=streams,
    )


_SHAPE_FIELDS = (
    "batch_size",
    "gradient_accumulation_steps",
    "n_epochs",
    "n_segments",
    "accounts_per_segment",
    "rollout_steps",
    "total_updates",
    "eval_frequency",
    "device",
)


def check_shapes(configs: Sequence[TrialConfig]) -> None:
    """Refuse members that cannot train as one program.

    Raises:
        ValueError: names the settings that differ.
    """

    def shape(c: TrialConfig) -> dict[str, Any]:
        model = {f"model.{n}": v for n, v in c.model.model_dump().items() if n != "dropout"}
        training = {f"training.{n}": getattr(c.training, n) for n in _SHAPE_FIELDS}
        return {**model, **training, "env.max_episode_steps": c.env.max_episode_steps, "env.gym_id": c.env.gym_id}

    shapes = [shape(c) for c in configs]
    differing = sorted(name for name in shapes[0] if any(s[name] != shapes[0][name] for s in shapes))
    if differing:
        raise ValueError(f"the members of a population must share {', '.join(differing)}")


class RewardScale:
    """Divides rewards by the running spread of discounted returns (Engstrom et al. 2020, "reward scaling").

    Market rewards are small and differ by orders of magnitude between markets; the value loss should not.
    """

    def __init__(self, gamma_P11: Tensor, segments: int, accounts: int) -> None:
        self._gamma_P11 = gamma_P11
        population, device = len(gamma_P11), gamma_P11.device
        self._carried_PSK = torch.zeros(population, segments, accounts, device=device)
        self._square_P = torch.zeros(population, device=device)
        self._count = 0

    def __call__(self, rollout: Rollout, reward_TPSK: Tensor) -> Tensor:
        """Take this rollout into the running mean square, then scale by its root."""
        renewed = torch.tensor(rollout.renewed_S, device=reward_TPSK.device)[None, :, None]
        carried = torch.where(renewed, 0.0, self._carried_PSK)
        returns = discounted_returns(reward_TPSK, rollout.ended_TPSK, self._gamma_P11, carried)
        self._carried_PSK = returns[-1] * ~rollout.ended_TPSK[-1]
        square_P = returns.square().mean(dim=(0, 2, 3))
        self._count += 1
        self._square_P += (square_P - self._square_P) / self._count
        return reward_TPSK / (self._square_P.sqrt()[:, None, None] + 1e-8)

    def state(self) -> dict[str, Tensor]:
        """Returns under way, their mean square, and of how many rollouts it is."""
        return {"carried": self._carried_PSK, "square": self._square_P, "count": torch.tensor(self._count)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self._carried_PSK = state["carried"].to(self._square_P.device)
        self._square_P = state["square"].to(self._square_P.device, copy=True)
        self._count = int(state["count"])


class Learner:
    """Everything that lives from update to update: walker, optimizer, reward scale, who is alive."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        walker: Walker | GymWalker,
        policy: Policy,
        streams: Sequence[MemberStreams],
    ) -> None:
        first = configs[0].training
        self._training, self._policy, self._streams = first, policy, list(streams)
        self._walker = walker
        self._dropout = [c.model.dropout for c in configs]
        self._optimizer = PopulationAdam(policy.weights_PN)

        def column(name: str) -> Tensor:
            return torch.tensor([float(getattr(c.training, name)) for c in configs], device=policy.device)

        self._gamma_P11 = column("gamma")[:, None, None]
        self._lambda_P11 = column("gae_lambda")[:, None, None]
        self._rate_P, self._anneal_P = column("learning_rate"), column("use_lr_annealing")
        self._max_grad_norm_P = column("max_grad_norm")
        self._weights = LossWeights(
            clip_epsilon_P=column("clip_epsilon"),
            value_coef_P=column("value_coef"),
            entropy_coef_P=column("entropy_coef"),
        )
        self._scale = RewardScale(self._gamma_P11, first.n_segments, first.accounts_per_segment)
        self._alive_P = torch.ones(policy.population, dtype=torch.bool, device=policy.device)
        self.updates = 0
        """Updates done."""
        self.stopped: list[str | None] = [None] * policy.population

    @property
    def alive(self) -> list[bool]:
        """Members that still train."""
        return [reason is None for reason in self.stopped]

    @property
    def can_be_saved(self) -> bool:
        """Whether a snapshot holds all that there is."""
        return isinstance(self._walker, Walker)

    def _parts(self) -> dict[str, Lasting]:
        parts: dict[str, Lasting] = {
            "policy": self._policy,
            "optimizer": self._optimizer,
            "reward_scale": self._scale,
            **{f"member{i}": streams for i, streams in enumerate(self._streams)},
        }
        return {**parts, "walker": self._walker} if isinstance(self._walker, Walker) else parts

    def snapshot(self) -> Snapshot:
        """All that the next update depends on."""
        return Snapshot.of(self._parts(), self.updates, self.stopped)

    def go_on(self, snapshot: Snapshot) -> None:
        """Be where the snapshot was taken.

        Raises:
            BadSnapshot: it does not fit this training.
        """
        if not self.can_be_saved:
            raise BadSnapshot("a training in a Gymnasium environment cannot go on from a snapshot")
        if len(snapshot.stopped) != len(self.stopped) or not 0 < snapshot.update <= self._training.total_updates:
            raise BadSnapshot(f"it is of {len(snapshot.stopped)} members after update {snapshot.update}")
        snapshot.put_back(self._parts())
        self.updates, self.stopped = snapshot.update, list(snapshot.stopped)
        self._alive_P = torch.tensor(self.alive, device=self._policy.device)

    def update(self) -> list[dict[str, float]]:
        """One rollout and one PPO update; returns each member's losses."""
        rollout = self._walker.rollout(self._policy, self._dropout)
        reward_TPSK = rollout.reward_TPSK
        scaled = self._scale(rollout, reward_TPSK)
        if rollout.final_value_TPSK is not None:
            scaled = scaled + self._gamma_P11 * rollout.final_value_TPSK
        value = rollout.value_TPSK
        advantage = gae(scaled, value, rollout.ended_TPSK, self._gamma_P11, self._lambda_P11)
        target = advantage + value[:-1]
        done = self.updates / self._training.total_updates
        losses_PN, norm_P, self._alive_P = update(
            self._policy,
            self._optimizer,
            as_batch(rollout, advantage, target),
            self._weights,
            learning_rate_P=self._rate_P * (1.0 - done * self._anneal_P),
            max_grad_norm_P=self._max_grad_norm_P,
            n_epochs=self._training.n_epochs,
            segments_per_batch=self._training.segments_per_batch,
            micro_batches=self._training.gradient_accumulation_steps,
            streams=self._streams,
            alive_P=self._alive_P,
        )
        self.updates += 1
        if self._policy.observed is not None:
            # after the update, which must see what the rollout saw
            self._policy.observed.add(rollout.account_PSTKO)
        explained_P = 1.0 - advantage.var(dim=(0, 2, 3)) / (target.var(dim=(0, 2, 3)) + 1e-8)
        table = torch.cat(
            [losses_PN, torch.stack([norm_P, explained_P, reward_TPSK.mean(dim=(0, 2, 3))], dim=1)], dim=1
        )
        return self._to_host(table)

    def _to_host(self, table: Tensor) -> list[dict[str, float]]:
        """The one host synchronisation of an update: its figures and who is alive."""
        rows = torch.cat([table, self._alive_P[:, None].float()], dim=1).tolist()
        names = (*LOSS_NAMES, "grad_norm", "explained_variance", "step_reward")
        for member, row in enumerate(rows):
            if not row[-1] and self.stopped[member] is None:
                self.stopped[member] = f"loss or gradient was not finite at update {self.updates}"
        return [dict(zip(names, row, strict=False)) for row in rows]
