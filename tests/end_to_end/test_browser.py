"""The Dagster UI on the finished run, in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def webserver(finished: Path) -> Iterator[str]:
    port = free_port()
    environment = {**os.environ, "DAGSTER_HOME": str(finished / ".dagster")}
    program = Path(sys.executable).parent / "dagster-webserver"
    words = [
        program,
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-m",
        "appraise.orchestration.definitions",
    ]
    with (finished / "webserver.log").open("w") as log:
        server = subprocess.Popen(words, cwd=finished, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/server_info", timeout=2).read()
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((finished / "webserver.log").read_text())
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    assert CHROMIUM, "expected chromium on the PATH, found none; apt-get install chromium"
    from playwright.sync_api import sync_playwright

    profile = tmp_path_factory.mktemp("profile")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=CHROMIUM,
            args=list(QUIET),
            viewport={"width": 1500, "height": 1000},
        )
        yield browser.new_page()
        browser.close()


def test_assets_are_shown_as_materialised(webserver: str, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{webserver}/assets/kernel_matrix", wait_until="domcontentloaded")
    page.get_by_text("Latest materialization").first.wait_for(timeout=60_000)
    page.get_by_text("content_sha256").first.wait_for(timeout=60_000)


def test_the_kernel_picture_is_shown(webserver: str, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{webserver}/assets/kernel_matrix", wait_until="domcontentloaded")
    page.get_by_text("Show Markdown").first.click(timeout=60_000)
    picture = page.locator("img[src^='data:image/png;base64,']").first
    picture.wait_for(timeout=30_000)
    assert picture.evaluate("image => image.naturalWidth") > 200


def test_every_partition_is_materialised(webserver: str, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(
        f"{webserver}/assets/gradient_sketches?view=partitions", wait_until="domcontentloaded"
    )
    for dataset in ("csqa", "mmlu", "obqa", "privacy_policy"):
        page.get_by_text(dataset, exact=True).first.wait_for(timeout=60_000)
    page.get_by_text("Materialized").first.wait_for(timeout=60_000)
