"""The policy: a causal transformer that encodes each bar once, and a head that joins it with an account.

Axes: P population, B stretches of bars, L rows of a stretch, D width, H heads, K accounts, T steps, A actions.
Weights are [P, …] and multiplied with batched matmul, so P agents of one shape train as one program.

Receptive field.  Layer l attends to the `span_l` latest rows; an embedding depends on exactly
1 + Σ(span_l − 1) = `window` bars.  Each layer returns only the rows whose span is complete, so a stretch of
`window − 1 + T` rows gives T embeddings and no padding is ever seen.  Positions are rotary (Su et al. 2021), which only
know differences: an embedding does not depend on where the stretch was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fxai.agent.attention import sliding_attention
from fxai.config import ModelConfig

DropoutMasks = list[tuple[Tensor, Tensor]]
"""Per layer, scaled keep-masks [P, B, L_out, D] after attention and after feed-forward."""

# relu works in place: what it is given is always a fresh result that nothing else reads
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "relu": torch.relu_,
    "silu": F.silu,
    "tanh": torch.tanh,
}


class RunningScale:
    """Mean and standard deviation of each observed number over all of a member's training so far.

    Axes: P population, O numbers observed.  Joined by Chan et al. (1983), so they do not depend on how the steps were
    cut into rollouts.  An observation is cut to ± `BOUND` standard deviations.
    """

    BOUND = 10.0

    def __init__(self, mean_PO: Tensor, variance_PO: Tensor, count: float = 0.0) -> None:
        self.mean_PO, self.variance_PO, self.count = mean_PO, variance_PO, count

    @classmethod
    def fresh(cls, population: int, observed: int, device: torch.device) -> RunningScale:
        """Changes nothing until it has seen something."""
        shape = (population, observed)
        return cls(torch.zeros(shape, device=device), torch.ones(shape, device=device))

    def __call__(self, x: Tensor) -> Tensor:
        """[P, …, O] in standard deviations from the mean."""
        shape = (len(self.mean_PO), *(1,) * (x.dim() - 2), self.mean_PO.shape[1])
        scaled = (x - self.mean_PO.view(shape)) / (self.variance_PO.view(shape) + 1e-8).sqrt()
        return scaled.clamp(-self.BOUND, self.BOUND)

    def add(self, x: Tensor) -> None:
        """Take observations [P, …, O] into mean and variance."""
        flat = x.reshape(len(x), -1, x.shape[-1])
        variance, mean = torch.var_mean(flat, dim=1, correction=0)
        share = flat.shape[1] / (self.count + flat.shape[1])
        shift = mean - self.mean_PO
        self.mean_PO = self.mean_PO + shift * share
        self.variance_PO = self.variance_PO.lerp(variance, share) + shift.square() * (share * (1.0 - share))
        self.count += flat.shape[1]


def spans(window: int, n_layers: int) -> list[int]:
    """Rows that each layer attends to, itself included; Σ(span − 1) = window − 1, as even as can be."""
    base, extra = divmod(window - 1, n_layers)
    return [base + (layer < extra) + 1 for layer in range(n_layers)]


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """[P, …, in] times [P, in, out], plus [P, out], then the activation."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    out = torch.bmm(flat, weight) if bias is None else torch.baddbmm(bias[:, None], flat, weight)
    out = out if activation is None else activation(out)
    return out.view(*x.shape[:-1], weight.shape[-1])


class _Narrow(torch.autograd.Function):
    """x · weight + bias for few outputs, laid out [P, out, N].

    A CPU multiplies into a wide and low matrix several times as fast as into a high and narrow one, and the softmax
    over actions is then over rows that lie side by side.  The gradient is written out, as autograd would make that of
    x in the other layout.
    """

    @staticmethod
    def forward(ctx: Any, x_PNH: Tensor, weight_PHO: Tensor, bias_PO: Tensor) -> Tensor:
        ctx.save_for_backward(x_PNH, weight_PHO)
        return torch.baddbmm(bias_PO[:, :, None], weight_PHO.transpose(1, 2), x_PNH.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x_PNH, weight_PHO = ctx.saved_tensors
        (grad_PON,) = grad_outputs
        d_x = torch.bmm(grad_PON.transpose(1, 2), weight_PHO.transpose(1, 2))
        return d_x, torch.bmm(grad_PON, x_PNH).transpose(1, 2), grad_PON.sum(2)


class Policy:
    """P agents of one shape: their weights, and the two functions that use them.

    Args:
        config: the shape.
        n_features: F, features of a bar; with 0 there is no encoder, and the head sees accounts alone.
        n_account: features of an account.
        n_actions: A, position levels.
        generators: one per member, for its initial weights (on the CPU).
        device: where the weights live.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        n_features: int,
        n_account: int,
        n_actions: int,
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> None:
        self.config = config
        self.n_features, self.n_account, self.n_actions = n_features, n_account, n_actions
        self.population = len(generators)
        self.device = device
        self.observed: RunningScale | None = None
        """Applied to what the head sees of an account, where its scale is not known beforehand."""
        self.rows_at_once: int | None = None
        """Rows of bars that `embed` encodes at a time; None for all."""
        self.spans = spans(config.window, config.n_layers) if n_features else []
        shapes = _shapes(config, n_features, n_account, n_actions)
        size = sum(_numel(shape) for shape in shapes.values())
        self.weights_PN = torch.zeros(self.population, size, device=device)
        self.parameters: dict[str, Tensor] = {}
        begin = 0
        for name, shape in shapes.items():
            end = begin + _numel(shape)
            weight = self.weights_PN[:, begin:end].view(self.population, *shape)
            self.parameters[name] = weight.requires_grad_(True)
            begin = end
        for member, generator in enumerate(generators):
            _initialise({n: w.detach()[member] for n, w in self.parameters.items()}, generator)

    def state(self) -> dict[str, Tensor]:
        """Weights, and the scale of what is observed where there is one."""
        seen = self.observed
        scale = {} if seen is None else {"mean": seen.mean_PO, "variance": seen.variance_PO}
        count = {} if seen is None else {"count": torch.tensor(seen.count, dtype=torch.float64)}
        return {"weights": self.weights_PN, **scale, **count}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` gave."""
        self.weights_PN.copy_(state["weights"])
        if self.observed is not None:
            mean, variance = (state[name].to(self.device) for name in ("mean", "variance"))
            self.observed = RunningScale(mean, variance, float(state["count"]))

    def encode(self, features_PBLF: Tensor, dropout: DropoutMasks | None = None) -> Tensor:
        """Embed every row that has a complete window.

        Args:
            features_PBLF: stretches of L rows.
            dropout: masks of `dropout_masks`, none for evaluation.

        Returns:
            [P, B, L − window + 1, D].
        """
        p = self.parameters
        x = linear(features_PBLF, p["input.weight"], p["input.bias"])
        for layer, span in enumerate(self.spans):
            x = self._layer(x, layer, span, None if dropout is None else dropout[layer])
        return F.layer_norm(x, x.shape[-1:])

    def _layer(self, x: Tensor, layer: int, span: int, masks: tuple[Tensor, Tensor] | None) -> Tensor:
        """Pre-norm attention and feed-forward; the norms have no weights, the next matmul holds them."""
        p, name = self.parameters, f"layer{layer}."
        population, batch, rows, width = x.shape
        heads = self.config.n_heads
        normed = F.layer_norm(x, (width,))
        qkv = linear(normed, p[name + "qkv.weight"]).view(population, batch, rows, 3, heads, width // heads)
        mixed = linear(sliding_attention(qkv, span), p[name + "out.weight"])
        x = x[:, :, span - 1 :] + (mixed if masks is None else mixed * masks[0])
        activation = _ACTIVATIONS[self.config.activation]
        hidden = linear(F.layer_norm(x, (width,)), p[name + "up.weight"], p[name + "up.bias"], activation)
        out = linear(hidden, p[name + "down.weight"], p[name + "down.bias"])
        return x + (out if masks is None else out * masks[1])

    def bars(self, features_PBLF: Tensor, dropout: DropoutMasks | None = None) -> Tensor:
        """What the head adds for each bar, [P, B, T, 1, head width]; without an encoder its bias alone, with T = 1."""
        if not self.n_features:
            return self.parameters["head.bias"][:, None, None, None]
        return self.project(self.encode(features_PBLF, dropout)).unsqueeze(3)

    def embed(self, features_PBLF: Tensor, dropout: DropoutMasks | None = None) -> Tensor:
        """`project` of `encode`, as many stretches at a time as `rows_at_once` allows: what a rollout or an evaluation,
        which keep nothing for a gradient, need of memory is theirs. [P, B, T, head width]."""
        stretches, rows = features_PBLF.shape[1:3]
        many = stretches if self.rows_at_once is None else max(1, self.rows_at_once // rows)
        pieces = [
            self.project(self.encode(features_PBLF[:, i : i + many], _some(dropout, i, i + many)))
            for i in range(0, stretches, many)
        ]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def project(self, embedding_PBTD: Tensor) -> Tensor:
        """The head's first layer over embeddings, once per bar for all its accounts: [P, B, T, head width]."""
        return linear(embedding_PBTD, self.parameters["head.bar"], self.parameters["head.bias"])

    def head(self, projected: Tensor, account: Tensor) -> tuple[Tensor, Tensor]:
        """Join bars and accounts.

        Args:
            projected: of `project`, [P, …, 1, head width]; broadcast over accounts.
            account: `TradingEnv.observe`, [P, …, K, account features].

        Returns:
            Logits [P, …, K, A] and values [P, …, K].
        """
        p = self.parameters
        activation = _ACTIVATIONS[self.config.activation]
        if self.observed is not None:
            account = self.observed(account)
        shape, width = account.shape[:-1], projected.shape[-1]
        bars = projected.expand(*shape, width).reshape(shape[0], -1, width)
        hidden = activation(torch.baddbmm(bars, account.reshape(shape[0], -1, account.shape[-1]), p["head.account"]))
        hidden = linear(hidden, p["head.hidden.weight"], p["head.hidden.bias"], activation)
        last = p["head.out.weight"], p["head.out.bias"]
        if torch.is_grad_enabled():
            out: Tensor = _Narrow.apply(hidden, *last)  # type: ignore[no-untyped-call]
            out = out.view(shape[0], -1, *shape[1:]).movedim(1, -1)
        else:
            out = linear(hidden, *last).view(*shape, -1)
        return out[..., :-1], out[..., -1]

    def gradients(self, loss: Tensor) -> Tensor:
        """Gradient of a scalar by every weight, laid out as `weights_PN`."""
        parts = torch.autograd.grad(loss, list(self.parameters.values()), materialize_grads=True)
        return torch.cat([g.reshape(self.population, -1) for g in parts], dim=1)

    def dropout_masks(
        self, rates: Sequence[float], generators: Sequence[torch.Generator], batch: int, rows: int
    ) -> DropoutMasks | None:
        """One set of masks for a rollout and all its updates (consistent dropout, Hausknecht & Wagener 2022).

        With the same mask on both sides the probability ratio starts at exactly 1. A member draws only for itself,
        and nothing at rate 0; `None` when no member drops anything.
        """
        if not any(rates):
            return None
        masks: DropoutMasks = []
        for span in self.spans:
            rows -= span - 1
            shape = (batch, rows, self.config.d_model)
            both = []
            for _ in range(2):
                members = [
                    (torch.rand(shape, generator=g) >= rate).float() / (1.0 - rate) if rate else torch.ones(shape)
                    for rate, g in zip(rates, generators, strict=True)
                ]
                both.append(torch.stack(members).to(self.device))
            masks.append((both[0], both[1]))
        return masks


def _some(masks: DropoutMasks | None, begin: int, end: int) -> DropoutMasks | None:
    """The masks of some stretches."""
    return None if masks is None else [(a[:, begin:end], b[:, begin:end]) for a, b in masks]


def _shapes(c: ModelConfig, n_features: int, n_account: int, n_actions: int) -> dict[str, tuple[int, ...]]:
    """Name and shape, without the population axis, of every weight."""
    d, inner, h = c.d_model, c.d_model * c.ff_multiplier, c.head_width
    shapes: dict[str, tuple[int, ...]] = {}
    if n_features:
        shapes["input.weight"], shapes["input.bias"] = (n_features, d), (d,)
    for layer in range(c.n_layers if n_features else 0):
        name = f"layer{layer}."
        shapes[name + "qkv.weight"] = (d, 3 * d)
        shapes[name + "out.weight"] = (d, d)
        shapes[name + "up.weight"], shapes[name + "up.bias"] = (d, inner), (inner,)
        shapes[name + "down.weight"], shapes[name + "down.bias"] = (inner, d), (d,)
    if n_features:
        shapes["head.bar"] = (d, h)
    shapes["head.bias"] = (h,)
    shapes["head.account"] = (n_account, h)
    shapes["head.hidden.weight"], shapes["head.hidden.bias"] = (h, h), (h,)
    shapes["head.out.weight"], shapes["head.out.bias"] = (h, n_actions + 1), (n_actions + 1,)
    return shapes


def _numel(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def _initialise(weights: dict[str, Tensor], generator: torch.Generator) -> None:
    """Orthogonal matrices, zero biases; a near-uniform first policy (Andrychowicz et al. 2021, choice C57)."""
    for name, weight in weights.items():
        if weight.dim() < 2:
            continue
        drawn = torch.empty(weight.shape)
        gain = 0.5 if name.endswith(("out.weight", "down.weight")) else 1.0
        torch.nn.init.orthogonal_(drawn, gain=gain, generator=generator)
        if name == "head.out.weight":
            drawn[:, :-1] *= 0.02
        weight.copy_(drawn)
