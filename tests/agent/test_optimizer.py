"""PopulationAdam against torch.optim.Adam, and the guard."""

import torch

from fxai.agent.optimizer import PopulationAdam


def test_each_member_equals_torch_adam_with_its_own_rate_and_clip():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, generator=generator)
    rates, clips = torch.tensor([1e-2, 1e-3, 1e-1]), torch.tensor([0.1, 100.0, 1.0])
    weights, gradients = start.clone(), torch.zeros(3, 5)
    ours = PopulationAdam(weights)
    references = [torch.nn.Parameter(row.clone()) for row in start]
    adams = [torch.optim.Adam([p], lr=float(r), eps=1e-5) for p, r in zip(references, rates, strict=True)]
    alive = torch.ones(3, dtype=torch.bool)
    for _ in range(5):
        gradients.copy_(torch.randn(3, 5, generator=generator))
        for parameter, adam, row, clip in zip(references, adams, gradients, clips, strict=True):
            parameter.grad = row.clone()
            torch.nn.utils.clip_grad_norm_([parameter], float(clip))
            adam.step()
        ours.step(gradients, rates, clips, alive)
    torch.testing.assert_close(weights, torch.stack([p.detach() for p in references]), atol=1e-6, rtol=1e-5)


def test_a_step_that_would_overflow_the_weights_is_not_taken():
    weights = torch.ones(2, 3)
    adam = PopulationAdam(weights)
    # the first step of Adam is about the learning rate: 1 − 3e38 twice over leaves float32
    rate, clip = torch.tensor([0.1, 3e38]), torch.full((2,), 1.0)
    alive = torch.ones(2, dtype=torch.bool)
    for _ in range(3):
        _, alive = adam.step(torch.ones(2, 3), rate, clip, alive)
    assert alive.tolist() == [True, False]
    assert torch.isfinite(weights).all()


def test_a_member_with_a_nan_gradient_stops_and_keeps_its_weights():
    weights, gradients = torch.ones(2, 3), torch.ones(2, 3)
    gradients[1, 0] = torch.nan
    adam = PopulationAdam(weights)
    rate, clip = torch.full((2,), 0.1), torch.full((2,), 1.0)
    _, alive = adam.step(gradients, rate, clip, torch.ones(2, dtype=torch.bool))
    assert alive.tolist() == [True, False]
    assert weights[1].tolist() == [1.0, 1.0, 1.0]
    assert torch.isfinite(weights).all()
    assert (weights[0] < 1.0).all()
    # it stays stopped, with whatever gradient follows
    gradients.fill_(1.0)
    _, alive = adam.step(gradients, rate, clip, alive)
    assert alive.tolist() == [True, False]
    assert weights[1].tolist() == [1.0, 1.0, 1.0]
