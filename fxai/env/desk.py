"""What the Gymnasium environments have in common: one account's rules, the bars, and where an episode may begin.

Axes: N accounts, W bars of a window, F features, O numbers of an account.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fxai.config import DataConfig, EnvConfig, ModelConfig, TrialConfig
from fxai.config.load import load_trial_config
from fxai.env.account import AccountState, Outcome
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv
from fxai.errors import DataError, InputError
from fxai.market.data import MarketPart, load_market
from fxai.market.features import BOUND

ACCOUNT_BOUND = 90.0
"""No number of the account is beyond: asinh of the largest float32 is 89.4."""

Observation = NDArray[np.float32]
Rows = NDArray[np.int64]
Config = TrialConfig | EnvConfig | Path | str


class Desk:
    """A market part under the rules of one account.

    Args:
        config: a training config or the path of one; with a `part` of your own its `env` section is enough.
            Default: the bundled ECB rates with the default settings.
        part: `train` or `validation` of the config's data, or bars with features of your own.
        window: bars in an observation; `model.window` of the config unless given.

    Raises:
        InputError: the sealed test part is asked for, settings come without their data, or a reward plugin is at fault.
        DataError: bars that cannot be read, are too few, or have no open for `execution: next_open`.
    """

    def __init__(self, config: Config | None, part: str | MarketPart, window: int | None) -> None:
        settings = _settings(config)
        self.config = settings if isinstance(settings, EnvConfig) else settings.env
        model = ModelConfig() if isinstance(settings, EnvConfig) else settings.model
        self.window = model.window if window is None else window
        self.steps = self.config.max_episode_steps
        if self.window < 1:
            raise InputError(f"an observation has at least 1 bar, got {self.window}", where="window")
        self.part = part if isinstance(part, MarketPart) else _load(settings, part, self.window + self.steps)
        device = torch.device("cpu")
        self.env = TradingEnv(self.part, [self.config], device)
        self.reward = RewardFunction([self.config.reward], device)
        self._starts = [(low, high) for low, high in self.env.starts(self.steps, self.window) if low < high]
        if not self._starts:
            raise DataError(
                f"no instrument has the {self.window + self.steps:,} bars of a window and an episode",
                where=f"part {self.part.name}",
                hint="give a longer part, a smaller window or a smaller env.max_episode_steps",
            )
        self._levels = np.array(self.config.position_levels)
        self._instruments = np.array(self.part.instruments, dtype=object)
        n_bar = self.window * len(self.part.feature_names)
        # the windows as a view: row r begins at bar r of the features laid end to end, and overlaps the next
        features = np.ascontiguousarray(self.part.features_NF).reshape(-1)
        self._windows = sliding_window_view(features, n_bar)[:: len(self.part.feature_names)]
        bound = np.array([BOUND] * n_bar + [ACCOUNT_BOUND] * len(ACCOUNT_FEATURES), dtype=np.float32)
        self.observation_space: gymnasium.spaces.Space[Any] = gymnasium.spaces.Box(-bound, bound, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(self.env.n_actions)

    def draw(self, rng: np.random.Generator) -> int:
        """A start, even over all rows at which window and episode fit."""
        at = int(rng.integers(sum(high - low for low, high in self._starts)))
        for low, high in self._starts:
            if at < high - low:
                break
            at -= high - low
        return low + at

    def start(self, options: dict[str, Any] | None) -> int | None:
        """The `start` of the options of a reset, None where there is none.

        Raises:
            InputError: an unknown option, or a start at which window or episode do not fit.
        """
        unknown = sorted(set(options or {}) - {"start"})
        if unknown:
            raise InputError(f"{unknown[0]!r} is not an option", where="reset(options=…)", hint="known: start")
        start = (options or {}).get("start")
        if start is None:
            return None
        whole = isinstance(start, int | np.integer) and not isinstance(start, bool)
        if not whole or not any(low <= start < high for low, high in self._starts):
            ranges = ", ".join(f"{low} to {high - 1}" for low, high in self._starts[:5])
            more = " …" if len(self._starts) > 5 else ""
            raise InputError(
                f"no window and episode fit around row {start!r}",
                where='reset(options={"start": …})',
                hint=f"a whole number of {ranges}{more}",
            )
        return int(start)

    def observe(self, rows_N: Rows, state: AccountState) -> Observation:
        """The windows that end at the rows and the accounts [1, N, 1] at their closes, [N, W · F + O]."""
        windows = self._windows[rows_N - self.window + 1]
        close = torch.from_numpy(self.part.close_N[rows_N])[None, :, None]
        account = self.env.observe(state, close).numpy()[0, :, 0]
        return np.concatenate([windows, account], axis=1)

    def told(self, rows_N: Rows, actions_N: Rows, happened: Outcome) -> dict[str, NDArray[Any]]:
        """The info of a step, each entry [N]; equity and drawdown of a stopped account are what it is left with."""
        numbers = {
            name: getattr(happened, name).numpy().flatten()  # a copy: equity is the account's own
            for name in ("equity", "drawdown", "exposure", "traded", "cost", "closed", "closed_gain")
        }
        return {**self._where(rows_N), "level": self._levels[actions_N], **numbers}

    def told_first(self, rows_N: Rows) -> dict[str, NDArray[Any]]:
        """The info of a reset, each entry [N]."""
        zero, none = np.zeros(len(rows_N)), np.zeros(len(rows_N), dtype=np.bool_)
        capital = np.full(len(rows_N), self.config.initial_capital)
        names = ("drawdown", "exposure", "traded", "cost")
        rest = {**dict.fromkeys(names, zero), "closed": none, "closed_gain": zero}
        return {**self._where(rows_N), "level": zero, "equity": capital, **rest}

    def _where(self, rows_N: Rows) -> dict[str, NDArray[Any]]:
        # offsets ascend from 0, so the last one at or below a row is its instrument's
        instrument_N = np.searchsorted(self.part.offsets_I, rows_N, side="right") - 1
        time_N = self.part.time_N[rows_N].astype("datetime64[ns]")
        return {"row": rows_N.copy(), "time": time_N, "instrument": self._instruments[instrument_N]}


def _settings(config: Config | None) -> TrialConfig | EnvConfig:
    if config is None:
        return TrialConfig(data=DataConfig(), env=EnvConfig(execution="next_close"))
    settings = load_trial_config(Path(config)) if isinstance(config, str | Path) else config
    gym_id = settings.gym_id if isinstance(settings, EnvConfig) else settings.env.gym_id
    if gym_id is not None:
        raise InputError(f"{gym_id} takes the place of the market", where="env.gym_id", hint="leave env.gym_id out")
    return settings


def _load(settings: TrialConfig | EnvConfig, part: str, min_bars: int) -> MarketPart:
    """A part of the config's own data."""
    if part == "test":
        raise InputError("the test bars are sealed", where="part", hint="use train or validation")
    if part not in ("train", "validation"):
        raise InputError(
            f"{part!r} is not a part", where="part", hint="write train or validation, or give a MarketPart"
        )
    if isinstance(settings, EnvConfig) or settings.data is None:
        raise InputError(
            "an env section alone does not say where the bars are",
            where="config",
            hint="give a training config, or a MarketPart as `part`",
        )
    market = load_market(settings.data, parts=(part,), min_bars=min_bars)
    market.check_execution(settings.env.execution)
    return market.parts[0]
