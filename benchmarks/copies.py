"""What copies of rows gain: found by their text, and if nobody looked.

    python benchmarks/copies.py              # ten minutes the first time

Three datasets of the demo's pool are offered again by others, with each row as it is, in other case
and white space, with 5 % and 10 % of the words replaced, left out or put in, and reworded by rules
(synonyms, a polite beginning). The target's own public rows are offered too. The table has the part
of rows that `near_copies` finds; whether the offer was set aside; and, with `near_copies` switched
off, the weight of original and copy together over that of the original alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sketches import TARGET, TO_SKETCHES, bring, project
from tables import write_table

from appraise.project import Project
from appraise.storage.files import read_json, read_table

Change = Callable[[str, np.random.Generator], str]
NAMES = ("csqa", "privacy_policy", "medqa")
SYNONYMS = {
    "what": "which thing", "person": "individual", "people": "folks", "want": "wish",
    "good": "fine", "big": "large", "many": "lots of", "house": "home", "children": "kids",
    "where": "at what place", "would": "might", "someone": "somebody", "make": "create",
    "get": "obtain", "need": "require", "find": "discover", "likely": "probably",
    "company": "firm", "data": "information", "collect": "gather", "use": "employ",
    "share": "pass on", "policy": "rules", "has": "possesses", "can": "is able to",
}  # fmt: skip
TO_WEIGHTS = (*TO_SKETCHES, "candidates", "kernel_matrix", "dataset_values")


def shouted(text: str, _: np.random.Generator) -> str:
    return "  ".join(text.upper().split()) + " !"


def edited(share: float) -> Change:
    def change(text: str, rng: np.random.Generator) -> str:
        words, found = text.split(" "), []
        for word in words:
            kind = rng.integers(3) if rng.random() < share else 3
            other = str(rng.choice(words))
            found += [[other], [], [word, other], [word]][kind]
        return " ".join(found)

    return change


def reworded(text: str, _: np.random.Generator) -> str:
    words = [SYNONYMS.get(word.lower().strip("?.,"), word) for word in text.split(" ")]
    return "Could you tell me: " + " ".join(words)


CHANGES: dict[str, Change] = {
    "as it is": lambda text, _: text,
    "case and space": shouted,
    "5 % of the words": edited(0.05),
    "10 % of the words": edited(0.1),
    "reworded": reworded,
}


def with_similarity(similarity: float | None) -> Callable[[dict[str, Any]], None]:
    def change(params: dict[str, Any]) -> None:
        params["near_copies"]["similarity"] = similarity
        params["dataset_values"] |= {"bootstraps": 0}

    return change


def offer(root: Path, name: str, rows: pd.DataFrame, change: Change) -> dict[str, Any]:
    """An offer of changed rows by somebody else."""
    rng, path = np.random.default_rng(0), root / "files" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = [
        json.dumps({"prompt": change(prompt, rng), "completion": completion})
        for prompt, completion in zip(rows["prompt"], rows["completion"], strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "id": name, "title": name, "provider": "Somebody else", "version": "1", "price": 100,
        "licence": "NOASSERTION", "source": f"files/{path.name}", "sha256": sha256,
        "registered": "2026-06-01",
    }  # fmt: skip


def identity(name: str, kind: str) -> str:
    return f"{name}_{kind.replace('%', 'percent').replace(' ', '_')}"


def offered(made: Project) -> list[dict[str, Any]]:
    """All copies, made of what the first run kept."""
    found = []
    for name in NAMES:
        rows = read_table(made.open("auxiliary_datasets", name) / "examples.parquet")
        found += [offer(made.root, identity(name, k), rows, CHANGES[k]) for k in CHANGES]
    value = read_table(made.open("target_sets", TARGET) / "value.parquet")
    found += [offer(made.root, identity("public", k), value, CHANGES[k]) for k in CHANGES]
    return found


def grown(made: Project, similarity: float | None, more: list[dict[str, Any]]) -> Project:
    return project(
        made.root.name, with_similarity(similarity), lambda pool: pool["offers"].extend(more)
    )


def weights(made: Project) -> dict[str, float]:
    table = read_table(made.open("dataset_values", f"{TARGET}/kmm") / "weights.parquet")
    return dict(zip(table["id"], table["weight"], strict=True))


def main() -> None:
    first = project("copies", with_similarity(0.4))
    bring(first, TO_WEIGHTS)
    alone, copies = weights(first), offered(first)
    found = grown(first, 0.4, copies)
    bring(found, TO_WEIGHTS)
    summary = read_json(found.open("near_copies") / "copies.json")
    kept = weights(found)
    aside = {c["id"] for c in copies if c["id"] not in kept}
    gains = {}
    for name in NAMES:
        for kind in CHANGES:
            one = [c for c in copies if c["id"] == identity(name, kind)]
            together = grown(first, None, one)
            bring(together, TO_WEIGHTS)
            now = weights(together)
            copy = now.get(identity(name, kind), 0.0)
            if alone[name] > 0:
                shares = now[name] / alone[name], (now[name] + copy) / alone[name]
                gains[identity(name, kind)] = shares
    lines = []
    for name in (*NAMES, "public"):
        for kind in CHANGES:
            one = identity(name, kind)
            of = summary.get(one, {"rows": 0, "copied": 0})
            recall = of["copied"] / of["rows"] if of["rows"] else float("nan")
            shown = "set aside" if one in aside else f"{kept[one]:.3f}"
            same = f"{kept[name] / alone[name]:.4f}" if alone.get(name) else "–"
            plain = "{:.2f} | {:.2f}".format(*gains[one]) if one in gains else "– | –"
            lines.append(f"| {name} | {kind} | {recall:.3f} | {shown} | {same} | {plain} |")
    head = (
        "| rows of | changed | found | the copy's weight | the original's, over alone "
        "| not looked for: the original's | both together |"
    )
    write_table("copies", head, lines)


if __name__ == "__main__":
    main()
