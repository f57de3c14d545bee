"""What a confirmation says follows from its numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fxai.report.confirmation import print_confirmation, sentences
from fxai.study.confirm import FORMAT, METHOD, Confirmation, compare


def told(default, best, own_value=5.0, closed=20.0, name="mean_reward") -> Confirmation:
    metrics = {"n_closed": [closed] * len(best), "total_return": [0.01] * len(best)}
    return Confirmation(
        format=FORMAT,
        study="fx_\x1b[31mred",
        spec_hash="a",
        data_hash=None,
        trial=3,
        own_value=own_value,
        seeds=list(range(1, len(best) + 1)),
        metric=name,
        direction="maximize",
        default=default,
        best=best,
        metrics={"default": metrics, "best": metrics},
        min_trades=10,
        difference=compare(default, best, "maximize"),
        method=METHOD,
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("default", "best", "words"),
    [
        # spreads of 0.1 and a difference of 3: far outside; of −3: as far on the other side
        (
            [0.0, 0.1, 0.2],
            [3.0, 3.1, 3.2],
            "Over 3 fresh seeds the best config beats the default by +3 (95% interval +2",
        ),
        ([3.0, 3.1, 3.2], [0.0, 0.1, 0.2], "Over 3 fresh seeds the best config is worse than the default: -3"),
        ([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], "3 fresh seeds cannot tell the best config from the default: +0.5"),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], "Over 3 fresh seeds the two configs score alike"),
    ],
    ids=["better", "worse", "unclear", "alike"],
)
def test_the_verdict_is_what_the_interval_allows(default, best, words):
    assert sentences(told(default, best))[0].startswith(words)


def test_the_share_of_pairs_is_told():
    # of the nine pairs 0.5 wins against 0 alone, 1.5 against 0 and 1, 2.5 against all: 6 of 9
    assert "in 67% of the pairs of seeds" in sentences(told([0.0, 1.0, 2.0], [0.5, 1.5, 2.5]))[0]


def test_the_luck_of_being_chosen_is_told():
    said = sentences(told([0.0, 1.0, 2.0], [0.5, 1.5, 2.5]))[1]
    assert said.startswith("The study chose trial 3 for 5; with fresh seeds it scores 1.5 on average: ")
    assert said.endswith("selection made it look better by 3.5.")  # 5 − 1.5
    said = sentences(told([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], own_value=1.0))[1]
    assert said.endswith("being chosen did not make it look better than it is.")


def test_an_idle_config_and_the_bars_are_told():
    said = sentences(told([0.0, 1.0], [0.5, 1.5], closed=9.0))
    assert "The default config closes fewer than 10 trades (evaluation.min_trades) with 2 of 2 seeds." in said
    assert "The best config closes fewer than 10 trades (evaluation.min_trades) with 2 of 2 seeds." in said
    assert "still the validation bars that chose it" in said[-1]
    assert len(sentences(told([0.0, 1.0], [0.5, 1.5]))) == 3


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_seed_is_printed_and_nothing_that_a_terminal_obeys(width):
    out = io.StringIO()
    print_confirmation(told([0.0, 1.0], [0.5, 1.5]), Console(file=out, width=width))
    text = out.getvalue()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= width
    for cell in ("seed", "default", "best", "0.5", "1.5", "mean", "total_return", "1.00%"):
        assert cell in text
