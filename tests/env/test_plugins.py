"""Reward terms from a user's file: what they are paid, and that every mistake is told with file and line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from env.walking import CPU, jumpy_prices, sticky_actions, walk
from pydantic import ValidationError

from fxai.config import EnvConfig, RewardConfig
from fxai.env.account import Outcome
from fxai.env.plugins import content_hash, load_terms
from fxai.env.rewards import RewardFunction, check_terms
from fxai.errors import InputError

HEAD = "from fxai.env.plugins import reward_term\n"
"""Line 1 of every file; terms begin on line 2."""

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file of terms; returns its path relative to the working directory."""
    monkeypatch.chdir(tmp_path)

    def file(body: str, name: str = "mine.py", head: str = HEAD) -> str:
        (tmp_path / name).write_text(head + body, encoding="utf-8")
        return name

    return file


def outcome() -> Outcome:
    """Two members on jumpy prices, [20, 2, 1, 3]."""
    rng = np.random.default_rng(1)
    market = jumpy_prices(rng, steps=20, segments=1, own_spreads=False)
    return walk(market, [EnvConfig(), EnvConfig()], sticky_actions(rng, (20, 2, 1, 3), 5)).outcome


def only(*plugins: str, **more: Any) -> RewardConfig:
    return RewardConfig(enable_pnl=False, plugins=plugins, **more)


def refusal(*plugins: str, **more: Any) -> str:
    """The message of the error that a few bars meet, as a study finds it before trial 0."""
    with pytest.raises(InputError) as caught:
        check_terms(EnvConfig(reward=only(*plugins, **more)))
    assert type(caught.value) is InputError  # a study must not take it for a bad combination of parameters
    assert caught.value.__cause__ is None
    return str(caught.value)


class TestWhatIsPaid:
    def test_several_terms_and_files_add_up_in_their_own_coefficients(self, write: Write) -> None:
        one = write(
            "@reward_term(scale=2.0)\ndef a(o, c):\n    return c.scale * o.traded\n"
            "@reward_term()\ndef b(o, c):\n    return o.opened * c.pnl_coefficient\n",
            "one.py",
        )
        two = write("@reward_term(offset=0.5)\ndef d(o, c):\n    return o.traded * 0 + c.offset\n", "two.py")
        o = outcome()
        got = RewardFunction([only(one, two), only(one, two, pnl_coefficient=3.0, custom={"offset": 0.0})], CPU)(o)
        assert got.shape == o.equity.shape
        torch.testing.assert_close(got[:, 0], 2 * o.traded[:, 0] + o.opened[:, 0] + 0.5, rtol=1e-12, atol=0.0)
        torch.testing.assert_close(got[:, 1], 2 * o.traded[:, 1] + 3 * o.opened[:, 1].double(), rtol=1e-12, atol=0.0)

    def test_float32_and_whole_numbers_become_float64(self, write: Write) -> None:
        path = write("@reward_term()\ndef a(o, c):\n    return o.opened.int()\n")
        got = RewardFunction([only(path)] * 2, CPU)(outcome())
        assert got.dtype == torch.float64

    def test_a_file_is_executed_once_in_a_process(self, write: Write, tmp_path: Path) -> None:
        path = write(
            "from pathlib import Path\nwith Path('count').open('a') as f:\n    f.write('x')\n"
            "@reward_term(x=1.0)\ndef a(o, c):\n    return o.traded * c.x\n"
        )
        first = RewardFunction([only(path)] * 2, CPU)(outcome())
        # an edit in the middle of a study is not taken in
        write("@reward_term(x=9.0)\ndef a(o, c):\n    return o.traded * c.x\n")
        assert torch.equal(RewardFunction([only(path)] * 2, CPU)(outcome()), first)
        assert (tmp_path / "count").read_text() == "x"

    def test_only_functions_of_the_file_itself_count_and_each_once(self, write: Write) -> None:
        first = write("@reward_term()\ndef a(o, c):\n    return o.traded\n\nagain = a\n", "first.py")
        second = write(
            "import sys\nsys.path.insert(0, '.')\nfrom first import a\nsys.path.pop(0)\n"
            "@reward_term()\ndef b(o, c):\n    return a(o, c)\n",
            "second.py",
        )
        assert [t.function.__name__ for t in load_terms([first, second])] == ["a", "b"]

    def test_a_dataclass_in_the_file_works(self, write: Write) -> None:
        # with postponed annotations a dataclass looks its module up in sys.modules
        path = write(
            HEAD + "from dataclasses import dataclass\n@dataclass\nclass Band:\n    low: float\n"
            "@reward_term()\ndef a(o, c):\n    return o.traded * Band(2.0).low\n",
            head="from __future__ import annotations\n",
        )
        o = outcome()
        assert torch.equal(RewardFunction([only(path)] * 2, CPU)(o), o.traded * 2.0)

    def test_members_must_share_the_files(self, write: Write) -> None:
        path = write("@reward_term()\ndef a(o, c):\n    return o.traded\n")
        with pytest.raises(ValueError, match=r"must share env\.reward\.plugins"):
            RewardFunction([only(path), only()], CPU)

    def test_nothing_is_executed_where_no_file_is_listed(self) -> None:
        check_terms(EnvConfig())


ABOVE = 3 if sys.version_info < (3, 11) else 2

TERM = "@reward_term(x=1.0)\ndef a(o, c):\n"


class TestMistakes:
    def test_no_such_file(self, write: Write, tmp_path: Path) -> None:
        text = refusal("rewards/none.py")
        assert text.startswith("rewards/none.py: cannot read this file of env.reward.plugins: there is no such file\n")
        (tmp_path / "folder").mkdir()
        assert refusal("folder").startswith("folder: cannot read this file of env.reward.plugins: is a directory")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("def a(:\n", "mine.py:2: SyntaxError: "),
            ("import no_such_module_of_mine\n", "mine.py:2: ModuleNotFoundError: No module named 'no_such_module"),
            ("def f():\n    return 1 / 0\n\nf()\n", "mine.py:3: ZeroDivisionError: division by zero"),
            ("raise SystemExit(3)\n", "mine.py:2: SystemExit: 3"),
            ("def a(o, c):\n    return o.traded\n", "mine.py: registers no reward term\nhint: put @reward_term(...)"),
            ("@reward_term(x='1')\ndef a(o, c): ...\n", "mine.py:2: ValueError: the default of x must be a finite"),
            ("@reward_term(x=float('nan'))\ndef a(o, c): ...\n", "mine.py:2: ValueError: the default of x must be a"),
            ("@reward_term(x=True)\ndef a(o, c): ...\n", "mine.py:2: ValueError: the default of x must be a finite"),
            ("@reward_term(_x=1.0)\ndef a(o, c): ...\n", "mine.py:2: ValueError: '_x' cannot be the name of a coeff"),
            ("@reward_term(copy=1.0)\ndef a(o, c): ...\n", "mine.py:2: ValueError: 'copy' cannot be the name of a "),
            (
                "@reward_term(base_multiplier=1.0)\ndef a(o, c): ...\n",
                "mine.py:2: ValueError: 'base_multiplier' cannot be the name of a coefficient: env.reward.base_mul",
            ),
            # the line of the decorator; Python 3.10 gives that of the definition below it
            ("@reward_term\ndef a(o, c): ...\n", f"mine.py:{ABOVE}: TypeError: reward_term() takes 0 positional arg"),
            ("@reward_term()\nclass A: ...\n", f"mine.py:{ABOVE}: TypeError: @reward_term(…) belongs above a func"),
            (TERM + "    return o.trade\n", "mine.py:4: AttributeError: 'Outcome' object has no attribute 'trade'"),
            (TERM + "    return o.traded * c.y\n", "mine.py:4: AttributeError: there is no coefficient 'y'; declare"),
            ("@reward_term()\ndef a(o):\n    return o.traded\n", "mine.py:2: TypeError: a() takes 1 positional argum"),
            (TERM + "    return 1.0\n", "mine.py:2: the reward term a returned float, not a tensor"),
            (TERM + "    return None\n", "mine.py:2: the reward term a returned NoneType, not a tensor"),
            (
                TERM + "    return o.traded.mean()\n",
                "mine.py:2: the reward term a returned the shape [], not that of outcome.equity, [4, 1, 1, 2]",
            ),
            (TERM + "    return c.x\n", "mine.py:2: the reward term a returned the shape [1, 1, 1], not that of"),
            # 0/0 of the account that stands aside: it trades in none of 4 bars; the other one in all
            (
                TERM + "    return o.traded / o.traded\n",
                "mine.py:2: the reward term a returned 4 of 8 numbers that are not finite",
            ),
            (
                TERM + "    return o.gain.clamp_(min=0)\n",
                "mine.py:2: the reward term a changed a tensor of the outcome or a coefficient in place",
            ),
            (
                TERM + "    return o.gain.roll(-1, 0)\n",
                "mine.py:2: the term pays for a bar by what happened in another bar or to another account",
            ),
            (
                TERM + "    return o.traded - o.traded.mean(dim=-1, keepdim=True)\n",
                "mine.py:2: the term pays for a bar by what happened in another bar or to another account",
            ),
            (TERM + "    c.x.mul_(2)\n    return o.gain\n", "mine.py:2: the reward term a changed a tensor of the"),
        ],
    )
    def test_is_told_with_its_line(self, write: Write, body: str, message: str) -> None:
        text = refusal(write(body))
        assert text.startswith(message)
        assert "\nhint: " in text

    def test_a_coefficient_that_no_file_declares(self, write: Write) -> None:
        path = write(TERM + "    return o.traded * c.x\n")
        text = refusal(path, custom={"x": 2.0, "y": 1.0})
        assert text == "env.reward.custom.y: y is a coefficient of no term of mine.py\nhint: declared: x"

    def test_a_coefficient_that_two_terms_declare(self, write: Write) -> None:
        one = write(TERM + "    return o.traded\n", "one.py")
        two = write("\n" + TERM + "    return o.traded\n", "two.py")
        assert refusal(one, two).startswith("two.py:3: coefficient x is declared twice, first at one.py:2")

    def test_coefficients_without_a_file(self) -> None:
        with pytest.raises(ValidationError, match=r"custom\.x needs the file that declares it"):
            RewardConfig.model_validate({"custom": {"x": 1.0}})

    def test_a_file_twice(self) -> None:
        with pytest.raises(ValidationError, match="plugins lists a file twice"):
            only("a.py", "a.py")

    def test_a_broken_file_can_be_mended(self, write: Write) -> None:
        path = write("def a(:\n")
        refusal(path)
        write(TERM + "    return o.traded\n")
        check_terms(EnvConfig(reward=only(path)))  # only what worked is kept


def test_the_hash_is_of_the_content(write: Write) -> None:
    one, same = write("x = 1\n", "one.py"), write("x = 1\n", "same.py")
    before = content_hash(one)
    assert before == content_hash(same)
    write("x = 2\n", "one.py")
    assert content_hash(one) != before
    with pytest.raises(InputError, match="there is no such file"):
        content_hash("none.py")


def test_reading_a_config_and_hashing_import_no_torch_and_execute_nothing(write: Write, tmp_path: Path) -> None:
    path = write("raise ZeroDivisionError\n")
    code = (
        "import sys; from fxai.config import RewardConfig; from fxai.env.plugins import content_hash; "
        f"RewardConfig(plugins=({path!r},)); content_hash({path!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
