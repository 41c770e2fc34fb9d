"""Arrays that grow by appending and survive a kill: what is done of a sketch until all of it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from appraise.errors import ArtifactError
from appraise.errors.foreseen import of_system
from appraise.storage.files import read_object, write_json


class Growing:
    """Arrays that grow by appending, in a folder, and survive a kill in mid-write.

    Each array is a raw file; `grown.json`, written last, says how many rows of each are whole, and
    of what work they are. What lies beyond them, or belongs to other work, is cut off on opening.

    Args:
        work: what decides the content; another value begins anew.
        shapes: name → (dtype, shape of one row).

    Raises:
        ArtifactError: the disk is full, or the folder cannot be written.
    """

    def __init__(
        self, folder: Path, work: str, shapes: Mapping[str, tuple[str, tuple[int, ...]]]
    ) -> None:
        self._folder, self._work, self._shapes = folder, work, dict(shapes)
        self.state: Any = None
        self.counts = dict.fromkeys(shapes, 0)
        folder.mkdir(parents=True, exist_ok=True)
        index = folder / "grown.json"
        found = read_object(index) if index.is_file() else {}
        if found.get("work") == work:
            self.counts, self.state = found["counts"], found["state"]
        for name, count in self.counts.items():
            path = self._path(name)
            path.touch()
            os.truncate(path, count * self._row_bytes(name))

    def append(self, rows: Mapping[str, np.ndarray], state: Any) -> None:
        """Add rows to some of the arrays, and put a JSON value in the place of the last one."""
        try:
            for name, array in rows.items():
                dtype, shape = self._shapes[name]
                with self._path(name).open("ab") as file:
                    file.write(np.ascontiguousarray(array, dtype).reshape(-1, *shape).tobytes())
                    file.flush()
                    os.fsync(file.fileno())
                self.counts[name] += len(array)
            self.state = state
            content = {"work": self._work, "counts": self.counts, "state": state}
            write_json(self._folder / "grown.json", content)
        except OSError as error:
            raise ArtifactError(of_system(error, self._folder)) from None

    def arrays(self) -> dict[str, np.ndarray]:
        """All rows so far, memory-mapped."""
        found = {}
        for name, (dtype, shape) in self._shapes.items():
            whole = (self.counts[name], *shape)
            found[name] = (
                np.memmap(self._path(name), dtype, "r", shape=whole)
                if self.counts[name]
                else np.zeros(whole, dtype)
            )
        return found

    def remove(self) -> None:
        """Delete the folder: what was in it is elsewhere now."""
        shutil.rmtree(self._folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.raw"

    def _row_bytes(self, name: str) -> int:
        dtype, shape = self._shapes[name]
        return int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))
