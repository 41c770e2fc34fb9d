"""Bringing in a base model: from a folder, a GGUF file, a hub id; what is refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from rooms import room  # type: ignore[import-not-found]
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model  # type: ignore[import-not-found]

from appraise.errors import ModelError
from appraise.language_model import base
from appraise.records.base_model import BaseModelFingerprint
from appraise.settings.model import BaseModelParams, Lora
from appraise.storage.files import read_json


def prepare(root: Path, source: str, **more: object) -> Path:
    folder = root / "prepared"
    folder.mkdir()
    base.prepare(BaseModelParams(source=source, **more), root, folder)  # type: ignore[arg-type]
    return folder


def test_a_folder_as_the_hub_has_it_gives_the_same_model(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    there = room(tiny, tmp_path / "a").model
    here = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    ids = torch.arange(3, 20)[None]
    assert torch.equal(there(ids).logits, here.eval()(ids).logits)
    assert not any(p.requires_grad for p in there.parameters())


def test_the_same_source_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    folders = [room(tiny, tmp_path / name).folder for name in "ab"]
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "change",
    [{"lora": {"seed": 1}}, {"lora": {"rank": 4}}, {"max_length": 65}, {"prompt": "{prompt}"}],
)
def test_what_decides_a_gradient_is_in_the_fingerprint(
    tiny: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    prints = []
    for name, more in (("a", {}), ("b", change)):
        (tmp_path / name).mkdir()
        folder = prepare(tmp_path / name, str(tiny), **more)  # type: ignore[arg-type]
        prints.append(BaseModelFingerprint.read(folder).fingerprint)
    assert prints[0] != prints[1]


def test_code_that_comes_with_a_model_is_left_behind(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny, source)
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "pytorch_model.bin").write_bytes(b"pickled")
    for other in ("consolidated", "adapter_model"):  # weights that transformers would not read
        (source / f"{other}.safetensors").write_bytes(b"")
    config = read_json(source / "config.json") | {"auto_map": {"AutoModel": "modeling_evil.Evil"}}
    (source / "config.json").write_text(json.dumps(config))
    folder = prepare(tmp_path, str(source))
    found = {path.name for path in folder.glob("*.safetensors")}
    assert found == {"model.safetensors", base.LORA}
    assert not {"modeling_evil.py", "pytorch_model.bin"} & {p.name for p in folder.iterdir()}


def test_a_model_in_several_files_is_the_same_model(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    source = tmp_path / "source"
    shutil.copytree(tiny, source, ignore=shutil.ignore_patterns("*.safetensors"))
    whole = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    whole.save_pretrained(source, max_shard_size="50KB")
    folder = prepare(tmp_path, str(source))
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert len(BaseModelFingerprint.read(folder).weights) > 1
    ids = torch.arange(3, 20)[None]
    assert torch.equal(base.load(folder)(ids).logits, whole(ids).logits)


def test_a_model_without_some_of_its_weights(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny, source)
    weights = load_file(source / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]  # transformers would draw it at random
    save_file(weights, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"all weights, found none of model\.layers\.1\.mlp\.up"):
        prepare(tmp_path, str(source))


def test_tied_embeddings_stay_tied(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "source", "llama", tie_word_embeddings=True)
    model = base.load(prepare(tmp_path, str(source)))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_model_that_sees_later_tokens_is_refused(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "source", "bert")  # transformers takes it for a causal one
    with pytest.raises(ModelError, match="expected a causal language model, found BertLMHeadModel"):
        prepare(tmp_path, str(source), lora=Lora(target_modules=("query",)))


def test_the_chat_template_is_in_the_fingerprint(tiny: Path, tmp_path: Path) -> None:
    prints = []
    for name in "ab":
        source = tmp_path / name
        shutil.copytree(tiny, source / "source")
        (source / "source" / "chat_template.jinja").write_text(name)
        folder = prepare(source, str(source / "source"))
        prints.append(BaseModelFingerprint.read(folder).fingerprint)
    assert prints[0] != prints[1]


def test_a_tokenizer_in_an_older_layout_becomes_one_file(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "source", "gpt2")
    (source / "tokenizer.json").unlink()
    (source / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}))
    (source / "merges.txt").write_text("#version: 0.2\na b\n")
    (source / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    folder = prepare(tmp_path, str(source), lora=Lora(target_modules=("c_attn",)))
    assert (folder / "tokenizer.json").is_file(), "lengths are counted with it"
    assert base.load_tokenizer(folder)("abba")["input_ids"] == [2, 1, 0]


def quantised(source: Path, **settings: object) -> Path:
    """Say in a model's configuration that it is quantised."""
    config = read_json(source / "config.json") | {"quantization_config": settings}
    (source / "config.json").write_text(json.dumps(config))
    return source


def test_a_quantised_model_keeps_its_own_numbers(tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    expected, stored = {}, {}
    for name, weight in weights.items():
        if name.endswith("_proj.weight"):
            scale = weight.abs().max() / 448
            stored[name] = (weight / scale).to(torch.float8_e4m3fn)
            stored[f"{name}_scale_inv"] = scale.reshape(1, 1)
            expected[name] = (stored[name].float() * scale).bfloat16()
        else:
            stored[name] = expected[name] = weight.bfloat16()
    save_file(stored, source / "model.safetensors", {"format": "pt"})
    config = read_json(source / "config.json") | {"dtype": "bfloat16"}
    (source / "config.json").write_text(json.dumps(config))
    quantised(source, quant_method="fp8", weight_block_size=[128, 128])
    model = base.load(prepare(tmp_path, str(source)))
    found = dict(model.named_parameters())
    assert {weight.dtype for weight in found.values()} == {torch.bfloat16}, "its own, not float32"
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_the_package_that_a_quantised_model_needs_is_named(tmp_path: Path) -> None:
    source = quantised(
        tiny_model(tmp_path / "source"), quant_method="bitsandbytes", load_in_4bit=True
    )
    with pytest.raises(ModelError, match=r"its quantisation needs, found none .*bitsandbytes"):
        prepare(tmp_path, str(source))


def test_a_hub_id_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a GGUF file, a folder or a hub id"):
        prepare(tmp_path, "nobody/nothing")


def test_a_folder_without_weights(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny, source, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(ModelError, match="expected a causal language model in safetensors"):
        prepare(tmp_path, str(source))


def test_a_gguf_file_that_is_missing_or_another(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a GGUF file a\.gguf, found none"):
        prepare(tmp_path, "a.gguf")
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    (tmp_path / "prepared").rmdir()
    with pytest.raises(ModelError, match=r"base_model\.sha256: expected 00000"):
        prepare(tmp_path, "a.gguf", sha256="0" * 64)


def test_an_archive_that_is_missing_damaged_or_another(tmp_path: Path) -> None:
    source = "zip://m.gguf::a.zip"
    with pytest.raises(ModelError, match=r"expected a\.zip, found no file; run `appraise fetch`"):
        prepare(tmp_path, source)
    (tmp_path / "prepared").rmdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("other", "x")
    with pytest.raises(ModelError, match=r"expected m\.gguf in a\.zip"):
        prepare(tmp_path, source)
    (tmp_path / "prepared").rmdir()
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(ModelError, match="delete the archive"):
        prepare(tmp_path, source)
