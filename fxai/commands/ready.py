"""What must hold on this machine before the first trial of a study: bars, devices, the user's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fxai.config.load import get_dotted
from fxai.report.talk import say
from fxai.study.space import Parameter
from fxai.study.spec import StudySpec

if TYPE_CHECKING:
    from fxai.market.data import Market


def ready_market(spec: StudySpec, *, quiet: bool) -> Market | None:
    """The bars of a study, checked, and notes about them said; None where a Gymnasium environment takes their place.

    Raises:
        InputError: bars, environment, device or the user's own reward terms cannot be used.
    """
    market = None
    if spec.base.env.gym_id is not None:
        _check_gym(spec.base.env.gym_id)
    else:
        market = _market(spec, quiet)
    _check_device(spec.base.training.device)
    _check_plugins(spec)
    return market


def bars_of(market: Market | None) -> dict[str, Any]:
    """What a study records of its bars."""
    return {"data_hash": data_hash_of(market), "contents": None if market is None else market.contents}


def data_hash_of(market: Market | None) -> str | None:
    """What stands for the bars in a study's fingerprint."""
    return None if market is None else market.data_hash


def _market(spec: StudySpec, quiet: bool) -> Market:
    from fxai.market.data import load_market

    market = load_market(spec.base.bars, min_bars=bars_needed(spec))
    for execution in _values(spec, "env.execution"):
        market.check_execution(execution)
    crosses = [f"crosses of two quoted rates: {', '.join(market.derived)}"] if market.derived else []
    for note in () if quiet else (*market.notes, *crosses):
        say(f"note: {note}")
    return market


def bars_needed(spec: StudySpec) -> int:
    """Bars that a part of the market needs for any trial: the warm-up and the longest episode."""
    episode = max(spec.base.env.max_episode_steps, spec.ruler.env.max_episode_steps)
    for parameter in spec.parameters:
        if parameter.name == "env.max_episode_steps":
            episode = max(episode, _largest(parameter))
    return spec.ruler.evaluation.warmup_bars + episode


def _values(spec: StudySpec, name: str) -> tuple[Any, ...]:
    """Every value that a setting may take in a study: what it is searched over, else the base's."""
    for parameter in spec.parameters:
        if parameter.name == name and parameter.choices is not None:
            return parameter.choices
    return (get_dotted(spec.base, name), get_dotted(spec.ruler, name))


def _check_gym(gym_id: str) -> None:
    """Refuse an environment that cannot be made before anything is written."""
    from fxai.env.external import make

    make(gym_id).close()


def _check_device(name: str) -> None:
    """Refuse a GPU that is not there before anything is written; torch is imported only when a GPU is named."""
    if name.startswith("cuda"):
        from fxai.agent.train import resolve_device

        resolve_device(name)


def _check_plugins(spec: StudySpec) -> None:
    """Execute the user's reward terms once before trial 0; torch is imported only where there are any."""
    if spec.base.env.reward.plugins:
        from fxai.env.rewards import check_terms

        check_terms(spec.base.env)


def _largest(parameter: Parameter) -> int:
    values = parameter.choices if parameter.choices is not None else (parameter.high,)
    return max(int(value) for value in values if value is not None)
