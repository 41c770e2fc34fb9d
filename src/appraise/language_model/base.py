"""The base model: brought into one folder of safetensors, loaded from there, fingerprinted.

Sources are a GGUF file (also inside a zip or wheel), a local folder in the hub's layout, and a
hub id. Only safetensors, JSON and text are taken; code that comes with a model is never run. Any
causal language model of transformers will do, a quantised one with its own quantisation.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from pydantic import JsonValue
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from appraise.errors import ModelError
from appraise.language_model.lora import adapted_modules, initial_a, widths
from appraise.language_model.placement import Placement
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.records.base_model import BaseModelFingerprint
from appraise.settings.model import BaseModelParams, Lora
from appraise.storage.files import read_arrays, read_object, sha256_file, sha256_json, write_arrays

CONFIG = "config.json"
LORA = "lora.safetensors"
TAKEN = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
LEFT = ("*/*", "consolidated*", "adapter_*")  # other layouts of the weights, adapters
TOKENIZER = ("*token*", "*vocab*", "*chat_template*", "*.jinja", "*.model", "merges.txt")
ON_CPU = Placement()


def prepare(params: BaseModelParams, root: Path, folder: Path) -> None:
    """Write weights, tokenizer, LoRA initialisation and fingerprint to a folder.

    Raises:
        ModelError: the source is missing, is not the one that was pinned, or is no causal LM.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call] # a second; the steps show their own
    source = params.source
    if ".gguf" in source:
        with _gguf(params, root) as path:
            _from_gguf(path, folder)
    elif (root / source).is_dir():
        for path in _taken(root / source):
            shutil.copy(path, folder / path.name)
    else:
        _from_hub(params, folder)
    model, tokenizer = load(folder), load_tokenizer(folder)
    _check_causal(model)
    if not (folder / "tokenizer.json").is_file():  # made of older layouts; `lengths` reads it
        tokenizer.save_pretrained(str(folder))
    arrays = {
        name: initial_a(name, width[0], params.lora).numpy()
        for name, module in adapted_modules(model, params.lora).items()
        if (width := widths(module))
    }
    write_arrays(folder / LORA, arrays, _settings(params.lora))
    fingerprint(params, folder).write(folder)


def _taken(source: Path) -> list[Path]:
    return [p for p in sorted(source.iterdir()) if _named(p, TAKEN) and not _named(p, LEFT)]


def _named(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in patterns)


def _settings(lora: Lora) -> dict[str, JsonValue]:
    """LoRA's settings, without those that are not given."""
    return lora.model_dump(mode="json", exclude_none=True)


def _check_causal(model: LanguageModel) -> None:
    """No logit may depend on a later token, as they do in BERT and its like."""
    states: list[torch.Tensor] = []

    def keep(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
        states.append(output.requires_grad_())
        return states[-1]

    device = model.get_input_embeddings().weight.device
    handle = model.get_input_embeddings().register_forward_hook(keep)
    try:
        logits = model(input_ids=torch.arange(8, device=device)[None], use_cache=False).logits
    finally:
        handle.remove()
    (slope,) = torch.autograd.grad(logits[0, 3].float().square().sum(), states[:1])
    if slope[0, 4:].any():
        raise ModelError(
            f"base_model: expected a causal language model, found {type(model).__name__}, in which "
            "tokens see those after them"
        )


def fingerprint(params: BaseModelParams, folder: Path) -> BaseModelFingerprint:
    """What decides a gradient: weights, tokenizer, LoRA shape and A, and the prompt's format."""
    weights = {
        p.name: sha256_file(p) for p in sorted(folder.glob("*.safetensors")) if p.name != LORA
    }
    tokenizer = {
        path.name: sha256_file(path) for path in sorted(folder.iterdir()) if _named(path, TOKENIZER)
    }
    names = {"prompt", "completion", "chat", "max_length"}
    stated = BaseModelFingerprint(
        fingerprint="",
        weights=weights,
        config=sha256_file(folder / CONFIG),
        tokenizer=tokenizer,
        lora=_settings(params.lora),
        lora_a=sha256_file(folder / LORA),
        format=params.model_dump(mode="json", include=names),
    )
    parts = stated.model_dump(mode="json", exclude={"fingerprint"})
    return stated.model_copy(update={"fingerprint": sha256_json(parts)})


@contextlib.contextmanager
def _gguf(params: BaseModelParams, root: Path) -> Iterator[Path]:
    """A GGUF file on disk; a member of an archive is unpacked to a temporary folder."""
    source = params.source
    if not source.startswith("zip://"):
        _check(root / source, params.sha256, source)
        yield root / source
        return
    member, _, archive = source.removeprefix("zip://").partition("::")
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / Path(member).name
        try:
            with (
                zipfile.ZipFile(root / archive) as opened,
                opened.open(member) as packed,
                path.open("wb") as unpacked,
            ):
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        except FileNotFoundError:
            raise ModelError(
                f"base_model.source: expected {archive}, found no file; run `appraise fetch`"
            ) from None
        except (KeyError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"base_model.source: expected {member} in {archive}, found {error}; "
                "delete the archive and run `appraise fetch`"
            ) from None
        _check(path, params.sha256, source)
        yield path


def _check(path: Path, expected: str | None, source: str) -> None:
    if not path.is_file():
        raise ModelError(f"base_model.source: expected a GGUF file {source}, found none")
    if expected is not None and sha256_file(path) != expected:
        raise ModelError(
            f"base_model.sha256: expected {expected[:12]}…, found {sha256_file(path)[:12]}… "
            f"in {source}; fetch it again, or pin what you have"
        )


def _from_gguf(path: Path, folder: Path) -> None:
    """Dequantise to float32. transformers refuses to save a model it loaded from GGUF, so an
    empty one of the same configuration takes over the tensors and is saved.
    """
    where = {"gguf_file": path.name}
    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **where)
    loaded = AutoModelForCausalLM.from_pretrained(str(path.parent), dtype=torch.float32, **where)
    del loaded.config.quantization_config  # it is not any more: trainers refuse what says it is
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(loaded.config)  # type: ignore[no-untyped-call]
    model.load_state_dict(loaded.state_dict(), strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def _from_hub(params: BaseModelParams, folder: Path) -> None:
    try:
        with tempfile.TemporaryDirectory() as temporary:
            snapshot_download(
                params.source,
                revision=params.revision,
                local_dir=temporary,
                allow_patterns=list(TAKEN),
                ignore_patterns=list(LEFT),
            )
            for path in _taken(Path(temporary)):
                shutil.move(path, folder / path.name)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"base_model.source: expected a GGUF file, a folder or a hub id that can be reached, "
            f"found {params.source!r} ({' '.join(str(error).split())[:160]})"
        ) from None


def load(folder: Path, placement: Placement = ON_CPU) -> LanguageModel:
    """The base model in evaluation mode, without gradients of its own parameters.

    Raises:
        ModelError: there is none, weights are missing, or what its quantisation needs is.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call] # a second; the steps show their own
    quantised = (folder / CONFIG).is_file() and "quantization_config" in read_object(
        folder / CONFIG
    )
    mapped = quantised or placement.spread
    where = "auto" if placement.spread else {"": placement.device}
    try:
        made: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            output_loading_info=True,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype="auto" if quantised else placement.dtype,
            device_map=where if mapped else None,
        )
    except ImportError as error:
        raise ModelError(
            f"base_model: expected the package that its quantisation needs, found none "
            f"({' '.join(str(error).split())[:200]})"
        ) from None
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"base_model: expected a causal language model in safetensors, found "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
    model, loaded = made
    if loaded["missing_keys"]:
        raise ModelError(
            f"base_model: expected all weights, found none of "
            f"{', '.join(sorted(loaded['missing_keys'])[:3])}; take the whole model"
        )
    keep_unpacked(model)
    placed = model if mapped else model.to(placement.device)
    return placed.eval().requires_grad_(False)


def keep_unpacked(model: LanguageModel) -> None:
    """Keep bitsandbytes from packing 4-bit weights on CPUs that multiply bfloat16.

    It packs them at the first input without gradient; products of packed weights have none, and
    other bits than elsewhere.
    """
    flag = "support_avx512bf16_for_cpu"
    for module in model.modules():
        if hasattr(module, flag):
            setattr(module, flag, False)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The base model's tokenizer.

    Raises:
        ModelError: there is none, or the package that reads it is missing.
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"base_model: expected a tokenizer, found {' '.join(str(error).split())[:200]}"
        ) from None
    return cast(Tokenizer, tokenizer)


def read_lora(folder: Path) -> dict[str, torch.Tensor]:
    """The initial A of each adapted module, (rank, width) float32, by the module's name."""
    arrays, _ = read_arrays(folder / LORA)
    return {name: torch.from_numpy(arrays[name].copy()) for name in sorted(arrays)}
