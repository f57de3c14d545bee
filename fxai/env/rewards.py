"""The reward: a sum of terms, each one small pure function (formulas in docs/trading_model.md).

A term takes the outcome of a bar and the members' coefficients, and returns per cent of account value.
Outcomes are [P, S, K] or [T, P, S, K]; coefficients [P, 1, 1], so both broadcast.

To add a term here: write its function under `@term`, and its flag and coefficients in `fxai.config.reward`.
To add one without touching FxAI: `fxai.env.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import product

import torch
from torch import Tensor

from fxai.config import EnvConfig, RewardConfig
from fxai.env.account import AccountRules, Bar, Outcome, fresh, outcome, renew, step
from fxai.env.plugins import CustomTerm, fault_of, load_terms
from fxai.errors import InputError

SMALLEST_RANGE = 1e-9
"""A trade whose MFE − MAE is below this, as a fraction, did not move: less is rounding."""


class Coefficients:
    """Every coefficient of `RewardConfig`, and of custom terms, by its name; float64 [P, 1, 1]."""

    def __init__(self, **columns: Tensor) -> None:
        self.__dict__.update(columns)

    def __getattr__(self, name: str) -> Tensor:
        raise AttributeError(f"there is no coefficient {name!r}; declare it in @reward_term(…)")


Term = Callable[[Outcome, Coefficients], Tensor]

TERMS: dict[str, Term] = {}
"""Every term by the name of the flag that enables it."""


def term(flag: str) -> Callable[[Term], Term]:
    """Register a reward term under the config flag that enables it."""

    def register(function: Term) -> Term:
        TERMS[flag] = function
        return function

    return register


@term("enable_pnl")
def pnl(o: Outcome, c: Coefficients) -> Tensor:
    """Change of equity."""
    return c.pnl_coefficient * 100.0 * (o.equity / o.equity_before - 1.0)


@term("enable_risk_penalty")
def risk_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """Half the squared change of equity times the risk aversion: mean-variance utility (Kolm & Ritter 2019)."""
    return -0.5 * c.risk_penalty_coefficient * (100.0 * (o.equity / o.equity_before - 1.0)).square()


@term("enable_drawdown_penalty")
def drawdown_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """Drawdown that deepened in this bar."""
    return -c.drawdown_penalty_coefficient * 100.0 * (o.drawdown - o.drawdown_before).clamp(min=0.0)


@term("enable_max_drawdown_penalty")
def max_drawdown_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """MAE that went further beyond its threshold in this bar."""

    def excess(mae: Tensor) -> Tensor:
        return (-mae - c.max_drawdown_threshold_percent / 100.0).clamp(min=0.0)

    grown = _growth(o, excess(o.mae_before), excess(torch.minimum(o.mae_before, o.exit_gain)), excess(o.mae))
    return -c.max_drawdown_penalty_coefficient * 100.0 * grown


@term("enable_profit_giveback_penalty")
def profit_giveback_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """Open profit given back beyond its threshold in this bar; a loss is no profit given back."""

    def excess(mfe: Tensor, gain: Tensor) -> Tensor:
        return ((1.0 - c.profit_giveback_threshold) * mfe - gain.clamp(min=0.0)).clamp(min=0.0)

    before = excess(o.mfe_before, o.gain_before)
    at_exit = excess(torch.maximum(o.mfe_before, o.exit_gain), o.exit_gain)
    grown = _growth(o, before, at_exit, excess(o.mfe, o.gain))
    return -c.profit_giveback_penalty_coefficient * 100.0 * grown


@term("enable_profit_closing_bonus")
def profit_closing_bonus(o: Outcome, c: Coefficients) -> Tensor:
    """A trade closed with a gain."""
    return c.profit_closing_bonus_coefficient * 100.0 * o.closed_gain.clamp(min=0.0)


@term("enable_clean_trade")
def clean_trade(o: Outcome, c: Coefficients) -> Tensor:
    """A trade closed with a gain and little adverse movement."""
    clean = o.closed & (o.closed_gain >= c.min_gain_threshold) & (o.closed_mae >= -c.max_mae_threshold)
    return c.clean_trade_coefficient * 100.0 * o.closed_gain * clean


@term("enable_action_efficiency")
def action_efficiency(o: Outcome, c: Coefficients) -> Tensor:
    """Gain of a closed trade over its whole range: MFE and MAE as Sweeney (1996) measures trades by."""
    span = o.closed_mfe - o.closed_mae
    return c.action_efficiency_coefficient * torch.where(span > SMALLEST_RANGE, o.closed_gain / span, 0.0)


@term("enable_holding_penalty")
def holding_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """A trade held beyond its time: a ramp that is full at twice `max_holding_time_steps`."""
    limit = c.max_holding_time_steps
    return -c.holding_penalty_coefficient * ((o.bars_held - limit) / limit).clamp(0.0, 1.0)


@term("enable_activity_bonus")
def activity_bonus(o: Outcome, c: Coefficients) -> Tensor:
    """A trade opened."""
    return c.activity_bonus_per_trade * o.opened


@term("enable_inactivity_penalty")
def inactivity_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """A bar at whose end nothing was held."""
    return -c.hold_penalty_per_step * (o.bars_held == 0)


@term("enable_bankruptcy_penalty")
def bankruptcy_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """The account was stopped."""
    return -c.bankruptcy_penalty_coefficient * o.terminated


def _growth(o: Outcome, before: Tensor, at_exit: Tensor, at_close: Tensor) -> Tensor:
    """How much the excess of a trade grew in this bar, of the trade that ended at the fill and the one held on.

    A trade that began in this bar grows from 0. Where none is held at the close the excess there is 0: no growth.
    """
    to_exit = torch.where(o.exited, (at_exit - before).clamp(min=0.0), 0.0)
    begun = torch.where(o.opened, 0.0, before)
    return to_exit + (at_close - begun).clamp(min=0.0)


class RewardFunction:
    """The reward of each member of a population, from its own coefficients.

    Raises:
        InputError: a file of `plugins` cannot be used, or `custom` sets what no file declares.
        ValueError: members differ in plugins.
    """

    def __init__(self, configs: Sequence[RewardConfig], device: torch.device) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device).reshape(-1, 1, 1)

        plugins = configs[0].plugins
        if any(c.plugins != plugins for c in configs):
            raise ValueError("the members of a population must share env.reward.plugins")
        self._custom = load_terms(plugins)
        defaults = {name: value for own in self._custom for name, value in own.defaults.items()}
        for c in configs:
            _check_declared(c, defaults)
        columns = {n: [float(getattr(c, n)) for c in configs] for n in COEFFICIENTS}
        columns |= {n: [c.custom.by_name.get(n, value) for c in configs] for n, value in defaults.items()}
        self._coefficients = Coefficients(**{n: column(values) for n, values in columns.items()})
        self._enabled = {
            flag: column([float(getattr(c, flag)) for c in configs])
            for flag in TERMS
            if any(getattr(c, flag) for c in configs)
        }
        multiplied = any(c.enable_base_multiplier for c in configs)
        factors = [c.base_multiplier if c.enable_base_multiplier else 1.0 for c in configs]
        self._multiplier = column(factors) if multiplied else None

    def __call__(self, outcome: Outcome) -> Tensor:
        """Per cent of account value, float64, in the outcome's shape.

        Raises:
            InputError: a custom term raises, or returns what is no reward.
        """
        shaping = torch.zeros_like(outcome.equity)
        for flag, enabled_P11 in self._enabled.items():
            if flag != "enable_pnl":
                shaping = shaping + enabled_P11 * TERMS[flag](outcome, self._coefficients)
        for own in self._custom:
            shaping = shaping + _custom_reward(own, outcome, self._coefficients)
        if self._multiplier is not None:
            shaping = self._multiplier * shaping
        if "enable_pnl" in self._enabled:
            return self._enabled["enable_pnl"] * pnl(outcome, self._coefficients) + shaping
        return shaping

    def check_no_peeking(self, outcome: Outcome) -> None:
        """Refuse a custom term that pays otherwise for one account in one bar than for the same among others.

        Bars stand one behind the other in an outcome, so that a term could read the next one.

        Args:
            outcome: several bars of several accounts, [T, P, S, K].

        Raises:
            InputError: such a term.
        """
        steps, accounts = outcome.equity.shape[0], outcome.equity.shape[-1]
        for own in self._custom:
            whole = _custom_reward(own, outcome, self._coefficients)
            for t, k in product(range(steps), range(accounts)):
                alone = Outcome(
                    **{f.name: getattr(outcome, f.name)[t : t + 1, ..., k : k + 1] for f in fields(Outcome)}
                )
                paid = _custom_reward(own, alone, self._coefficients)
                if not torch.allclose(paid, whole[t : t + 1, ..., k : k + 1], rtol=1e-9, atol=1e-12):
                    raise InputError(
                        "the term pays for a bar by what happened in another bar or to another account",
                        where=own.where,
                        hint="use each entry of the outcome as it stands, without shifting, sums or means over an axis",
                    )


COEFFICIENTS = tuple(name for name, field in RewardConfig.model_fields.items() if field.annotation in (int, float))


def check_terms(config: EnvConfig) -> None:
    """Execute the files of `plugins` and pay their terms for a few bars, so that a mistake in them is told at once.

    Does nothing where there are none.

    Raises:
        InputError: see RewardFunction.
    """
    if config.reward.plugins:
        reward, bars = RewardFunction([config.reward], torch.device("cpu")), _some_bars(config)
        reward(bars)
        reward.check_no_peeking(bars)


def _some_bars(config: EnvConfig) -> Outcome:
    """What two accounts see in four made-up bars, [4, 1, 1, 2]: one trades from side to side, one stands aside."""
    rules = AccountRules.stack([config], torch.device("cpu"))
    close = torch.tensor([1.0, 1.001, 1.0005, 1.002, 1.001], dtype=torch.float64).reshape(-1, 1, 1, 1)
    rate = torch.full_like(close[0], 1e-5)
    new = fresh(rules, 1, 2)
    state, told = new, []
    for t, action in enumerate((len(rules.levels_A) - 1, 0, rules.flat_action, len(rules.levels_A) - 1)):
        bar = Bar.of(
            rules,
            close_before=close[t],
            fill=close[t],
            close=close[t + 1],
            cost_rate_fill=rate,
            cost_rate_close=rate,
            days=torch.ones_like(rate),
        )
        done = step(state, torch.tensor([[[action, rules.flat_action]]]), bar, rules)
        told.append(outcome(done, bar))
        state = renew(done, new)
    return Outcome(**{f.name: torch.stack([getattr(o, f.name) for o in told]) for f in fields(Outcome)})


def _check_declared(config: RewardConfig, declared: dict[str, float]) -> None:
    for name in config.custom.by_name:
        if name not in declared:
            raise InputError(
                f"{name} is a coefficient of no term of {', '.join(config.plugins)}",
                where=f"env.reward.custom.{name}",
                hint=f"declared: {', '.join(declared) or 'none'}",
            )


def _custom_reward(own: CustomTerm, o: Outcome, c: Coefficients) -> Tensor:
    """The reward of a custom term, which must have one finite number for each account and bar."""
    seen = _versions(o, c)
    try:
        value = own.function(o, c)
    except Exception as error:
        raise fault_of(error, own.path, own.where.rpartition(":")[0], own.where) from None
    if not isinstance(value, Tensor):
        fault = f"returned {type(value).__name__}, not a tensor"
    elif value.shape != o.equity.shape:
        fault = f"returned the shape {list(value.shape)}, not that of outcome.equity, {list(o.equity.shape)}"
    elif _versions(o, c) != seen:
        fault = "changed a tensor of the outcome or a coefficient in place"
    elif not torch.isfinite(value).all():  # waits for the device, once in a rollout and only where there are plugins
        fault = f"returned {int((~torch.isfinite(value)).sum())} of {value.numel()} numbers that are not finite"
    else:
        return value.double()
    raise InputError(
        f"the reward term {own.function.__name__} {fault}",
        where=own.where,
        hint='return new tensors, a finite number for each account and bar; see "Your own term" in '
        "docs/trading_model.md",
    )


def _versions(o: Outcome, c: Coefficients) -> list[int]:
    """How often each tensor was written to; inference tensors do not count that."""
    tensors = [getattr(o, f.name) for f in fields(Outcome)] + list(vars(c).values())
    return [x._version for x in tensors if not x.is_inference()]
