"""Markets whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from fxai.market.synthetic import ar1_bars, white_noise_bars


@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.3, 0.99])
def test_returns_obey_their_recursion(phi: float):
    # the shocks are drawn as documented, so the recursion can be walked one bar at a time
    n, sigma = 300, 0.002
    shock_N = np.random.default_rng(7).normal(0.0, sigma * np.sqrt(1 - phi**2), n)
    expected = [shock_N[0] / np.sqrt(1 - phi**2)]
    for shock in shock_N[1:]:
        expected.append(phi * expected[-1] + shock)
    close_N = ar1_bars(n, phi, sigma, seed=7)["close"].to_numpy()
    np.testing.assert_allclose(np.diff(np.log(close_N), prepend=0.0), expected, atol=1e-14)


def test_moments():
    # 200,000 returns: the standard error of σ is σ/√400,000 = 0.0016 σ, that of φ about √((1 − φ²)/200,000) = 0.002
    return_N = np.diff(np.log(ar1_bars(200_000, 0.3, 0.001, seed=1)["close"].to_numpy()))
    assert return_N.std() == pytest.approx(0.001, rel=0.01)
    assert np.corrcoef(return_N[:-1], return_N[1:])[0, 1] == pytest.approx(0.3, abs=0.01)
    # holding sign(φ r_t) earns |φ| σ √(2/π) = 0.3 · 0.001 · 0.79788 = 2.394e-4 a bar, ± 0.001/√200,000 = 2.2e-6
    assert np.mean(np.sign(return_N[:-1]) * return_N[1:]) == pytest.approx(2.394e-4, abs=1e-5)


def test_each_open_is_the_close_before_it():
    bars = white_noise_bars(100, seed=3)
    assert bars["open"].iloc[0] == 1.0
    np.testing.assert_array_equal(bars["open"].to_numpy()[1:], bars["close"].to_numpy()[:-1])
    assert (bars["high"] == bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] == bars[["open", "close"]].min(axis=1)).all()


def test_the_same_seed_gives_the_same_bars():
    assert ar1_bars(50, 0.1, seed=2).equals(ar1_bars(50, 0.1, seed=2))
    assert not ar1_bars(50, 0.1, seed=2).equals(ar1_bars(50, 0.1, seed=3))


def test_a_root_outside_of_the_unit_circle_is_refused():
    with pytest.raises(ValueError, match="phi must lie within"):
        ar1_bars(10, 1.0)
