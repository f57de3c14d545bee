from __future__ import annotations

import numpy as np
import pytest

from fxai.env.external import Copies, make, observed_names
from fxai.errors import ConfigError

TOY = "toy_env:Countdown-v0"
ON, END = 0, 1


def test_episodes_end_by_termination_and_by_the_time_limit_and_begin_anew():
    copies = Copies(TOY, [1, 2])
    assert copies.n_actions == 2
    np.testing.assert_array_equal(copies.observation_NO[:, 0], [0, 0])
    assert copies.observation_NO.shape == (2, 2)  # the [2, 1] box, flattened
    moved = copies.step(np.array([ON, END]))
    np.testing.assert_array_equal(moved.reward_N, [1, 10])
    np.testing.assert_array_equal(moved.terminated_N, [False, True])
    # the second shows its next episode; its last observation was one step after the reset
    np.testing.assert_array_equal(moved.observation_NO[:, 0], [1, 0])
    np.testing.assert_array_equal(moved.final_NO[:, 0], [1, 1])
    for _ in range(3):
        moved = copies.step(np.array([ON, ON]))
    # the first has walked 4 steps, its limit; the second 3
    np.testing.assert_array_equal(moved.truncated_N, [True, False])
    np.testing.assert_array_equal(moved.terminated_N, [False, False])
    np.testing.assert_array_equal(moved.observation_NO[:, 0], [0, 3])
    np.testing.assert_array_equal(moved.final_NO[:, 0], [4, 3])


def test_a_step_that_terminates_at_the_time_limit_is_no_truncation():
    copies = Copies(TOY, [1])
    for action in (ON, ON, ON, END):
        moved = copies.step(np.array([action]))
    assert (moved.terminated_N.item(), moved.truncated_N.item()) == (True, False)


def test_what_was_shown_is_not_changed_by_the_next_step():
    copies = Copies(TOY, [1])
    first = copies.step(np.array([ON]))
    seen, final = first.observation_NO.copy(), first.final_NO.copy()
    copies.step(np.array([ON]))
    np.testing.assert_array_equal(first.observation_NO, seen)
    np.testing.assert_array_equal(first.final_NO, final)


def test_a_copy_depends_on_its_own_seed_alone():
    together, alone = Copies(TOY, [7, 8]), Copies(TOY, [8])
    np.testing.assert_array_equal(together.observation_NO[1], alone.observation_NO[0])
    assert together.observation_NO[0, 1] != together.observation_NO[1, 1]


@pytest.mark.parametrize(
    ("gym_id", "message"),
    [
        ("NoSuch-v0", "'NoSuch-v0' cannot be made"),
        ("no_such_module:Thing-v0", "'no_such_module:Thing-v0' cannot be made"),
        ("CartPole", "'CartPole' cannot be made|CartPole"),
        ("..:A-v0", "'..:A-v0' cannot be made: "),
        ("toy_env:Broken-v0", "'toy_env:Broken-v0' cannot be made: a constructor of somebody else's"),
        ("Pendulum-v1", r"the action space of Pendulum-v1 is Box.*\n?.*Discrete actions"),
        ("FrozenLake-v1", r"the observation space of FrozenLake-v1 is Discrete"),
    ],
)
def test_what_cannot_be_trained_is_named(gym_id, message, recwarn):
    if gym_id == "CartPole":
        make(gym_id).close()  # gymnasium takes the newest version of a name without one
        return
    with pytest.raises(ConfigError, match=message) as caught:
        make(gym_id)
    assert caught.value.where == "env.gym_id"
    assert caught.value.hint


def test_observations_are_named_by_environment_and_place():
    assert observed_names("CartPole-v1", 2) == ("CartPole-v1[0]", "CartPole-v1[1]")
