"""A base model by its hub id, from a hub on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appraise.language_model import base
from appraise.records.base_model import BaseModelFingerprint
from appraise.settings.model import BaseModelParams
from appraise.storage.files import sha256_file

COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """Of the hub's API what the download of a repository asks for."""

    files: Path

    def do_GET(self) -> None:
        """A repository, the list of its files, or one of them."""
        place = self.path.partition("?")[0]
        file = self.files / place.partition(f"/some/model/resolve/{COMMIT}/")[2]
        if place.startswith("/api/models/some/model/tree/"):
            found = [path for path in self.files.rglob("*") if path.is_file()]
            self._answer([self._entry(path) for path in found])
        elif place.startswith("/api/models/some/model/"):
            self._answer({"id": "some/model", "sha": COMMIT, "siblings": []})
        elif file.is_file():
            self._send(file.read_bytes(), {"ETag": sha256_file(file), "X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    def do_HEAD(self) -> None:
        """The same without its content."""
        self.do_GET()

    def _entry(self, path: Path) -> dict[str, object]:
        name = str(path.relative_to(self.files))
        return {"type": "file", "path": name, "size": path.stat().st_size, "oid": sha256_file(path)}

    def _answer(self, value: object) -> None:
        self._send(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub with one repository, some/model; the folder of its files."""
    from huggingface_hub import constants

    Hub.files = tmp_path / "files"
    (Hub.files / "onnx").mkdir(parents=True)
    for path in tiny.iterdir():
        (Hub.files / path.name).write_bytes(path.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield Hub.files
    server.shutdown()
    server.server_close()


def test_a_hub_id_gives_the_model_and_nothing_else(hub: Path, tmp_path: Path) -> None:
    (hub / "onnx" / "config.json").write_text("{}")  # its name, but not the model's
    (hub / "consolidated.safetensors").write_bytes(b"")
    (hub / "modeling_evil.py").write_text("raise SystemExit")
    (tmp_path / "prepared").mkdir()
    params = BaseModelParams(source="some/model", revision="main")
    base.prepare(params, tmp_path, tmp_path / "prepared")
    found = {path.name for path in (tmp_path / "prepared").iterdir()}
    ours = {base.LORA, BaseModelFingerprint.FILE}
    assert found - ours == {p.name for p in hub.iterdir()} - {
        "onnx",
        "consolidated.safetensors",
        "modeling_evil.py",
    }
    weights = BaseModelFingerprint.read(tmp_path / "prepared").weights
    assert weights == {"model.safetensors": sha256_file(hub / "model.safetensors")}
