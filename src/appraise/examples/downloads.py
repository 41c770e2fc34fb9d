"""Fetch what a demo reads: packages of the Python index, as files, never installed or imported.

`pools/downloads.yaml` names each package, its file and the file's SHA-256. A file that is there and
right is left alone; nothing takes a place in `downloads/` before its SHA-256 was checked.

    python -m appraise.examples.downloads [project folder]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from appraise.errors import AppraiseError, ArtifactError, ParamsError
from appraise.settings.section import Sha256, describe
from appraise.storage.files import TEMPORARY, sha256_file, sync
from appraise.storage.yaml_files import read_yaml

LIST = Path("pools") / "downloads.yaml"
FOLDER = "downloads"
_TIMEOUT = 900  # seconds for one file


class Download(BaseModel):
    """A file of a package: what pip calls it, its name, its SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.whl$")]
    sha256: Sha256


def read_downloads(path: Path) -> dict[str, Download]:
    """What to fetch, by name; ParamsError when the list cannot be used."""
    try:
        content = read_yaml(path, ParamsError)
        return TypeAdapter(dict[str, Download]).validate_python(content)
    except FileNotFoundError:
        raise ParamsError(f"{path.name}: expected a list of downloads, found no file") from None
    except ValidationError as error:
        raise ParamsError(f"{path.name}: {describe(error)}") from None


def fetch(root: Path | str = ".") -> list[Path]:
    """Bring every download to `downloads/`, checked.

    Returns:
        The files that were fetched now.

    Raises:
        ParamsError: the list of downloads cannot be used.
        ArtifactError: no connection, no such package, or a file that is not what the list says.
    """
    folder = Path(root) / FOLDER
    fetched = []
    for download in read_downloads(Path(root) / LIST).values():
        path = folder / download.file
        if path.is_file() and sha256_file(path) == download.sha256:
            continue
        if path.is_file():
            print(f"{path.name}: damaged, fetching it again", file=sys.stderr)
        _fetch(download, folder)
        fetched.append(path)
    return fetched


def _fetch(download: Download, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{download.file}: fetching {download.package}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=folder) as aside:
        _pip_download(download, Path(aside))
        path = Path(aside) / download.file
        if not path.is_file():
            files = ", ".join(sorted(file.name for file in Path(aside).iterdir())) or "nothing"
            raise ArtifactError(f"{download.package}: expected {download.file}, found {files}")
        digest = sha256_file(path)
        if digest != download.sha256:
            raise ArtifactError(
                f"{download.file}: expected SHA-256 {download.sha256[:12]}…, found {digest[:12]}…; "
                "the download is damaged or was exchanged: try again, and do not use this file"
            )
        sync(path)
        path.replace(folder / download.file)
        sync(folder)


def _pip_download(download: Download, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), download.package]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ArtifactError(
            f"{download.package}: expected pip to fetch it within {_TIMEOUT} s, found it "
            "still at work; try again"
        ) from None
    if done.returncode != 0:
        errors = [line.strip() for line in done.stderr.splitlines() if "ERROR" in line]
        what = (errors or done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ArtifactError(
            f"{download.package}: expected pip to fetch it, found: {what}; connect to the network, "
            f"or put {download.file} into {FOLDER}/ yourself"
        )


def main(arguments: list[str]) -> int:
    """Fetch for the project folder in `arguments` (default: the current one); the exit code."""
    try:
        fetched = fetch(arguments[0] if arguments else ".")
    except AppraiseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{FOLDER}: {len(fetched)} fetched, all as listed in {LIST}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
