"""inherited.yaml: what it holds comes back, it is written once, and a damaged one is said."""

from __future__ import annotations

import pytest

from fxai.errors import ConfigError
from fxai.study.inherited import INHERITED, Inherited, Source, load_inherited, write_inherited


def inherited(**changes) -> Inherited:
    source = Source(
        study="one",
        trial=3,
        value=0.1 + 0.2,  # 0.30000000000000004: written in full
        metric="mean_reward",
        direction="maximize",
        spec_hash="a" * 64,
        data_hash=None,
        git_commit=None,
        completed=12,
        database="sqlite:///chain.db",
    )
    told = {
        "sources": (source,),
        "values": {
            "training.gamma": 1e-05,
            "model.activation": "no",
            "env.reward.enable_pnl": True,
            "model.window": 60,
        },
        "enqueued": {},
        "written": "2026-01-01T00:00:00+00:00",
    }
    return Inherited(**{**told, **changes})


def test_every_value_comes_back_as_it_was(tmp_path):
    assert load_inherited(tmp_path) is None
    assert write_inherited(tmp_path, inherited(), study="two")
    assert load_inherited(tmp_path) == inherited()
    text = (tmp_path / INHERITED).read_text()
    assert text.startswith("# What study two inherits: trial 3 of one, mean_reward 0.3.")
    assert "\nfrom:\n" in text


def test_what_says_the_same_is_not_written_again(tmp_path):
    write_inherited(tmp_path, inherited(), study="two")
    before = (tmp_path / INHERITED).read_bytes()
    later = inherited(
        written="2026-02-02T00:00:00+00:00",
        sources=tuple(s.model_copy(update={"completed": 40}) for s in inherited().sources),
    )
    assert not write_inherited(tmp_path, later, study="two")  # 28 trials later the same one is best
    assert (tmp_path / INHERITED).read_bytes() == before
    assert write_inherited(tmp_path, inherited(values={"training.gamma": 0.9}), study="two")


@pytest.mark.parametrize("text", ["from: [", "", "values: {}\n", "from: []\nvalues: {}\nenqueued: {}\nwritten: now\n"])
def test_a_damaged_file_is_named_and_replaced(tmp_path, text):
    (tmp_path / INHERITED).write_text(text)
    with pytest.raises(ConfigError, match="is damaged") as caught:
        load_inherited(tmp_path)
    assert INHERITED in caught.value.where
    told: list[ConfigError] = []
    assert write_inherited(tmp_path, inherited(), study="two", damaged=told.append)
    assert len(told) == 1
    assert load_inherited(tmp_path) == inherited()
