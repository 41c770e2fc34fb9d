"""Bringing in a base model: from a folder, a GGUF file, a hub id; what is refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from rooms import room  # type: ignore[import-not-found]

from appraise.artifacts import read_json
from appraise.errors import ModelError
from appraise.language_model import base
from appraise.params import BaseModelParams, Lora


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
        prints.append(read_json(folder / base.FINGERPRINT)["fingerprint"])
    assert prints[0] != prints[1]


def test_code_that_comes_with_a_model_is_left_behind(tiny: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny, source)
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "pytorch_model.bin").write_bytes(b"pickled")
    config = read_json(source / "config.json") | {"auto_map": {"AutoModel": "modeling_evil.Evil"}}
    (source / "config.json").write_text(json.dumps(config))
    folder = prepare(tmp_path, str(source))
    assert not {"modeling_evil.py", "pytorch_model.bin"} & {p.name for p in folder.iterdir()}


def test_a_module_that_does_not_exist_is_named_with_those_that_do(
    tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"expected some of .*q_proj.*, found c_attn"):
        prepare(tmp_path, str(tiny), lora=Lora(target_modules=("c_attn",)))


def test_too_many_layers(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected at most 4, found 5"):
        prepare(tmp_path, str(tiny), lora=Lora(last_layers=5))


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
