"""Per-example LoRA gradients: ways of computing them, side by side, equal to autograd.

    python benchmarks/throughput.py [--examples 1] [--rounds 2]

On the demo's model and datasets (`data/base_model` and `data/auxiliary_datasets` as `make demo`
leaves them), for adapters on all layers and on the last ten. Writes a table and a plot, with the
share of the machine's measured matrix-product peak that each way reaches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tables import draw_bars, write_table  # type: ignore[import-not-found]

from appraise.language_model import base
from appraise.language_model.adapters import peft_config
from appraise.language_model.gradients import LoraGradients, sketch
from appraise.language_model.lora import adapted_modules, initial_a, widths
from appraise.language_model.prepared import Prepared, Term
from appraise.language_model.prompts import Encoded, encode
from appraise.numerics.projection import Identity
from appraise.project import Project
from appraise.records.examples import read
from appraise.settings.model import Lora

BATCH = 8
CORES = 2
Gradients = list[torch.Tensor]


@dataclass(frozen=True)
class Setting:
    """A model with the modules that are adapted."""

    model: Any
    lora: Lora
    a: dict[str, torch.Tensor]

    @property
    def scale(self) -> float:
        return self.lora.alpha / self.lora.rank

    @property
    def modules(self) -> list[tuple[Any, torch.Tensor]]:
        found = dict(self.model.named_modules())
        return [(found[name], self.a[name]) for name in sorted(self.a)]


def setting(project: Project, last_layers: int | None) -> Setting:
    model = base.load(project.open("base_model"))
    lora = project.params.base_model.lora.model_copy(update={"last_layers": last_layers})
    modules = adapted_modules(model, lora)
    a = {name: initial_a(name, (widths(one) or (0, 0))[0], lora) for name, one in modules.items()}
    return Setting(model, lora, a)


def examples(project: Project, each: int) -> list[Encoded]:
    """The first examples of each dataset, datasets mixed, as a loader would give them."""
    tokenizer, found = base.load_tokenizer(project.open("base_model")), []
    for number in range(each):
        for key in project.partitions("auxiliary_datasets"):
            rows = read(project.open("auxiliary_datasets", key) / "examples.parquet")
            params, example = project.params.base_model, rows[number]
            found.append(encode(tokenizer, params, example.prompt, example.completion))
    return found


def autograd(one: Setting, encoded: Sequence[Encoded]) -> Gradients:
    """PEFT's adapter, one example at a time, full logits, autograd to every B."""
    from peft import get_peft_model

    adapted = get_peft_model(one.model, peft_config(one.model, one.lora))
    modules = dict(adapted.base_model.model.named_modules())
    with torch.no_grad():
        for name, value in one.a.items():
            modules[name].lora_A["default"].weight.copy_(value)
    b = [p for n, p in sorted(adapted.named_parameters()) if "lora_B" in n]
    found = []
    for example in encoded:
        ids = torch.tensor([example.ids])
        labels = ids.clone()
        labels[0, : example.n_prompt] = -100
        loss = adapted(input_ids=ids, labels=labels, use_cache=False).loss
        found.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, b)]))
    adapted.unload()
    one.model.requires_grad_(False)
    return found


def padded(one: Setting, encoded: Sequence[Encoded], bucketed: bool, few_logits: bool) -> Gradients:
    """Batches with padding and a mask, all examples' gradients from one backward pass by probes."""
    order = list(range(len(encoded)))
    if bucketed:
        order.sort(key=lambda number: len(encoded[number].ids))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), BATCH):
        numbers = order[start : start + BATCH]
        batch = [encoded[number] for number in numbers]
        found.update(zip(numbers, _batch(one, batch, few_logits), strict=True))
    return [found[number] for number in range(len(encoded))]


def _batch(one: Setting, batch: Sequence[Encoded], few_logits: bool) -> Gradients:
    width = max(len(example.ids) for example in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for number, example in enumerate(batch):
        length = len(example.ids)
        ids[number, :length] = torch.tensor(example.ids)
        mask[number, :length] = 1
        labels[number, example.n_prompt : length] = ids[number, example.n_prompt : length]
    captured: list[tuple[torch.Tensor, torch.Tensor]] = []

    def probe(a: torch.Tensor) -> Callable[..., torch.Tensor]:
        def hook(_: Any, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            zero = torch.zeros_like(output, requires_grad=True)
            captured.append((given[0].detach() @ a.T, zero))
            return output + zero

        return hook

    order = [module for module, _ in one.modules]
    handles = [module.register_forward_hook(probe(a)) for module, a in one.modules]
    called: list[Any] = []
    marks = [m.register_forward_hook(lambda m, *_: called.append(m)) for m in order]
    losses = _losses(one.model, ids, mask, labels, few_logits)
    for handle in (*handles, *marks):
        handle.remove()
    deltas = torch.autograd.grad(losses.sum(), [zero for _, zero in captured])
    parts = {
        id(module): one.scale * torch.einsum("nto,ntr->nor", delta, low)
        for module, (low, _), delta in zip(called, captured, deltas, strict=True)
    }
    return list(torch.cat([parts[id(m)].flatten(1) for m in order], dim=1))


def _losses(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor, few_logits: bool
) -> torch.Tensor:
    """Mean negative log-likelihood of each example's completion."""
    ahead = labels[:, 1:]
    counted = ahead != -100
    if few_logits:
        states = model.model(input_ids=ids, attention_mask=mask, use_cache=False)[0]
        logits = model.lm_head(states[:, :-1][counted])
        nll = torch.nn.functional.cross_entropy(logits, ahead[counted], reduction="none")
        whole = torch.zeros(ahead.shape).masked_scatter(counted, nll)
    else:
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        nll = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), ahead.flatten(), reduction="none", ignore_index=-100
        )
        whole = nll.view(ahead.shape)
    return whole.sum(dim=1) / counted.sum(dim=1)


def packed(one: Setting, encoded: Sequence[Encoded]) -> Gradients:
    """Ours."""
    gradients = LoraGradients(one.model, one.a, one.scale)
    chunk = [Prepared((Term(e, 1 / e.n_completion),)) for e in encoded]
    (rows,) = sketch(gradients, [chunk], Identity(gradients.size))
    return [torch.from_numpy(row.values.astype(np.float32)) for row in rows]


WAYS: dict[str, Callable[[Setting, Sequence[Encoded]], Gradients]] = {
    "autograd, one at a time, full logits": autograd,
    "padded batches, full logits": lambda one, e: padded(one, e, False, False),
    "padded batches, logits of completions": lambda one, e: padded(one, e, False, True),
    "length buckets, logits of completions": lambda one, e: padded(one, e, True, True),
    "packed (appraise)": packed,
}
BASELINE, OURS = "padded batches, full logits", "packed (appraise)"


def peak() -> float:
    """GFLOP/s of matrix products in float32, on as many threads as cores, one product each."""
    left, right = torch.randn(1536, 1536), torch.randn(1536, 1536)
    torch.set_num_threads(1)

    def multiply(_: int) -> None:
        for _ in range(6):
            left @ right

    best = 0.0
    with ThreadPoolExecutor(CORES) as pool:
        for _ in range(4):
            began = time.perf_counter()
            list(pool.map(multiply, range(CORES)))
            best = max(best, CORES * 6 * 2 * 1536**3 / (time.perf_counter() - began) / 1e9)
    torch.set_num_threads(CORES)
    return best


def products(one: Setting, encoded: Sequence[Encoded]) -> float:
    """FLOP of the linear layers and the head that a pass cannot do without, for all examples."""
    config = one.model.config
    layer = sum(
        2 * module.weight.numel()
        for name, module in one.model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layers.0." in name
    )
    head = 2 * one.model.lm_head.weight.numel()
    backward = one.lora.last_layers or config.num_hidden_layers
    tokens = sum(len(e.ids) for e in encoded)
    completion = sum(e.n_completion for e in encoded)
    return tokens * layer * (config.num_hidden_layers + backward) + 2 * completion * head


def measure(project: Project, each: int, rounds: int) -> None:
    encoded = examples(project, each)
    tokens = sum(len(e.ids) for e in encoded)
    lines, bars = [], {}
    for label, layers in (("all layers", None), ("last ten", 10)):
        one = setting(project, layers)
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        found: dict[str, Gradients] = {}
        peaks = []
        for way in WAYS.values():  # nothing is measured the first time
            way(one, encoded[:4])
        for _ in range(rounds):
            peaks.append(peak())
            for name, way in WAYS.items():
                began = time.perf_counter()
                found[name] = way(one, encoded)
                seconds[name].append(time.perf_counter() - began)
        speed = {name: tokens / statistics.median(all_) for name, all_ in seconds.items()}
        if layers is None:
            floor = speed[BASELINE]
        exact = found["autograd, one at a time, full logits"]
        flop = products(one, encoded)
        for name in WAYS:
            pairs = zip(found[name], exact, strict=True)
            error = max(float((x - y).norm() / y.norm()) for x, y in pairs)
            share = flop * speed[name] / tokens / 1e9 / max(peaks)
            lines.append(
                f"| {label} | {name} | {speed[name]:.0f} | {speed[name] / speed[BASELINE]:.2f} | "
                f"{speed[name] / floor:.2f} | {share:.0%} | {error:.1e} |"
            )
            bars[f"{label}: {name}"] = speed[name]
        print(f"{label}: peak {max(peaks):.0f} GFLOP/s, {tokens} tokens, {len(encoded)} examples")
    write_table(
        "throughput",
        "| adapters on | way | tokens/s | × padded | × padded, all layers | of the peak | "
        "largest relative error |",
        lines,
    )
    draw_bars("throughput", "tokens a second", bars)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1, help="of each dataset")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    measure(Project("."), given.examples, given.rounds)
