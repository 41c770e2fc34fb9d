"""Whether MLflow can log where it is told to, found without importing it, which takes seconds."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from appraise.errors.foreseen import one_line
from appraise.project.finding import Finding, ok, warning, wrong

SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
_SECONDS = 0.7
_TABLES = {"experiments", "runs", "alembic_version"}


def remedy(uri: str) -> str:
    """What to do where MLflow refuses."""
    if uri.startswith(SQLITE):
        path = uri.removeprefix(SQLITE)
        return f"move {path} away: MLflow is a view, and all of it is logged again"
    return "start that server, or unset MLFLOW_TRACKING_URI to log into the project's folder"


def look(uri: str, about: str) -> list[Finding]:
    """What is found at a tracking URI."""
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        return list(_of_database(path, about)) or [ok(about, f"decisions are logged to {path}")]
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    if scheme in ("", "file") and uri != "databricks":
        said = (
            f"expected a server or {SQLITE}…, found the folder {uri}, in which MLflow logs no more"
        )
        return [wrong(about, f"MLFLOW_TRACKING_URI: {said}; unset it, or name another")]
    if scheme not in _PORTS or not parts.hostname:
        return [ok(about, f"decisions are logged to {uri}, which was not tried")]
    failed = _knock(parts.hostname, parts.port or _PORTS[scheme])
    if failed:
        said = f"MLflow at {uri}: expected a server that answers, found: {failed}"
        return [wrong(about, f"{said}; {remedy(uri)}")]
    return [ok(about, f"decisions are logged to {uri}, which answers")]


def _of_database(path: Path, about: str) -> Iterator[Finding]:
    """What is wrong with a database, and which experiments were deleted in it."""
    place = path if path.exists() else path.parent
    if place.exists() and not os.access(place, os.W_OK):
        said = f"{place}: expected permission to write, found none"
        yield wrong(about, f"{said}; `chmod` it, or name another place by MLFLOW_TRACKING_URI")
    if not path.exists() or not path.stat().st_size:
        return
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_SECONDS)
        ) as one:
            found = {str(name) for (name,) in one.execute("select name from sqlite_master")}
            missing = sorted(_TABLES - found)
            if missing:
                said = f"{path}: expected MLflow's tables, found no {', '.join(missing)}"
                yield wrong(about, f"{said}; {remedy(SQLITE + str(path))}")
                return
            query = "select name from experiments where lifecycle_stage = 'deleted'"
            deleted = [str(name) for (name,) in one.execute(query)]
    except sqlite3.Error as error:
        said = f"{path}: expected MLflow's database, found: {one_line(error)}"
        yield wrong(about, f"{said}; {remedy(SQLITE + str(path))}")
        return
    for name in deleted:
        if name.startswith("appraise/"):
            yield warning(about, f"experiment {name} was deleted; its next decision restores it")


def _knock(host: str, port: int) -> str:
    """Why nobody answers at a port; "" where somebody does. Looking a name up knows no time limit
    of its own, so a thread does it that nobody waits for."""
    said = [f"no answer within {_SECONDS:g} s"]

    def try_it() -> None:
        try:
            socket.create_connection((host, port), timeout=_SECONDS).close()
            said[0] = ""
        except OSError as error:
            said[0] = one_line(error)

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return said[0]
