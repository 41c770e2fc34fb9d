"""A pool is read offer by offer; one that cannot be used is set aside with its reason."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_project import offer, rows, small_project, write_pool

from appraise.errors import ArtifactError, OfferError
from appraise.examples.templates import RowTemplates
from appraise.project import Project, Recipe
from appraise.project.params import read_params
from appraise.records.offers import Offers
from appraise.steps import offers
from appraise.steps.runner import run
from appraise.storage.files import read_json, write_json

ROOT = Path(__file__).parents[2]


def reason(project: Project, bad: dict[str, Any]) -> str:
    """Why this offer, beside a good one, is set aside."""
    write_pool(project.root, [offer(project.root, "good"), bad])
    run(offers.STEP, project)
    found = project.read(Offers, "offers")
    assert [one.id for one in found.offers] == ["good"]
    assert len(found.set_aside) == 1
    assert "\n" not in found.set_aside[0].reason
    return found.set_aside[0].reason


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id": "../../x"}, "id: String should match pattern"),
        ({"id": ""}, "id: String should match pattern"),
        ({"id": "good"}, "expected each id once, found good a second time (offer 2)"),
        ({"price": -1}, "price: Input should be greater than or equal to 0, found -1"),
        ({"price": math.nan}, "price: Input should be a finite number"),
        ({"price": "10"}, "price: Input should be a valid number, found '10'"),
        ({"licence": "Mine-1.0"}, "licence: expected an SPDX expression, LicenseRef-… or NOASS"),
        ({"licence": "MIT OR"}, "licence: expected an SPDX expression"),
        ({"provider": None}, "provider: Input should be a valid string"),
        ({"sha256": "abc"}, "sha256: expected a SHA-256: 64 hexadecimal digits, not 3 "),
        ({"colour": "red"}, "colour: expected one of source, sha256, "),
        ({"prompt": "{question!r}"}, "expected names of columns in braces"),
        ({"prompt": "{question"}, "prompt template '{question'"),
        ({"rejected": "{a:last}"}, "rejected template '{a:last}': expected names of columns"),
        ({"where": {"question": "*"}}, "where: question: expected a regular expression, found '*'"),
        ({"where": "why"}, "where: Input should be a valid dictionary, found 'why'"),
        ({"messages": "talk"}, "messages: expected a conversation in place of prompt and complet"),
        (
            {"source": "owner/name", "sha256": None},
            "expected the revision (a commit) of the hub id",
        ),
    ],
)
def test_bad_offer_is_set_aside(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    project = small_project(tmp_path)
    bad = offer(tmp_path, "bad", rows(3)) | change
    assert expected in reason(project, bad)


def test_missing_fields_are_named(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    bad = offer(tmp_path, "bad", rows(3))
    del bad["licence"], bad["price"]
    assert "licence: Field required" in reason(project, bad)


def test_missing_sha256_is_told_what_it_is_now(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    bad = offer(tmp_path, "bad", rows(3))
    sha256 = bad.pop("sha256")
    assert f"add `sha256: {sha256}`" in reason(project, bad)


def test_everything_that_is_wrong_with_an_entry_is_said_at_once(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    bad = offer(tmp_path, "bad", rows(3)) | {
        "price": "10 EUR", "licence": "Mine-1.0", "prompt": "{question", "excludes": ["god", "bad"],
        "bundle": "alone",
    }  # fmt: skip
    del bad["sha256"]
    said = reason(project, bad)
    assert [part.split(":")[0] for part in said.split("; ")] == [
        "price", "prompt template '{question'", "expected the SHA-256 of the source, found none",
        "add `sha256", "licence", "bundle", "correct the name, or leave it out", "excludes",
        "did you mean good?", "excludes", "correct it, or the bundle",
    ]  # fmt: skip


def test_an_offer_cannot_exclude_what_it_is_sold_with(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    names = ("a", "b", "c")
    entries = [offer(tmp_path, name, rows(2, name), bundle="both") for name in names[:2]]
    entries[0]["excludes"] = ["b"]
    entries.append(offer(tmp_path, "c", rows(2, "c"), excludes=["a"]))  # it was set aside: known
    write_pool(tmp_path, entries)
    run(offers.STEP, project)
    found = project.read(Offers, "offers")
    assert [one.id for one in found.offers] == ["b", "c"]
    assert "expected a dataset that can be bought apart from this one, found b" in (
        found.set_aside[0].reason
    )


@pytest.mark.parametrize("licence", ["NOASSERTION", "Apache-2.0 OR MIT", "LicenseRef-Seller-4"])
def test_licences(tmp_path: Path, licence: str) -> None:
    project = small_project(tmp_path)
    write_pool(tmp_path, [offer(tmp_path, "good", licence=licence)])
    run(offers.STEP, project)
    assert project.read(Offers, "offers")["good"].licence == licence


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("offers: [", "pool.yaml: line 1, column 10: expected YAML"),
        ("title: x\ntitle: y\n", "line 2, column 1: expected each key once, found `title` again"),
        ("- 1\n", "expected title, currency and a list `offers`, found [1]"),
        ("title: x\ncurrency: EUR\noffers: []\n", "expected offers that can be used, found none"),
    ],
)
def test_bad_pool(tmp_path: Path, content: str, expected: str) -> None:
    project = small_project(tmp_path)
    (tmp_path / "pool.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(OfferError, match=expected.replace("[", r"\[")):
        run(offers.STEP, project)


def test_missing_pool_and_no_usable_offer(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    write_pool(tmp_path, [offer(tmp_path, "good", price=-3), {}])
    with pytest.raises(OfferError) as raised:
        run(offers.STEP, project)
    first, good, second = raised.value.faults
    assert first == "pool.yaml: expected offers that can be used, found none; correct these"
    assert good == "pool.yaml: good: price: Input should be greater than or equal to 0, found -3"
    assert second.startswith("pool.yaml: offer 2: source: Field required; id: Field required; ")
    (tmp_path / "pool.yaml").unlink()
    with pytest.raises(OfferError, match=r"pool.yaml: expected a pool of offers, found no file"):
        run(offers.STEP, project)


def test_order_in_the_file_matters_for_who_was_first_and_a_day_more(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    entries = [offer(tmp_path, name, rows(2, name)) for name in "abc"]
    write_pool(tmp_path, entries)
    run(offers.STEP, project)
    first = read_json(project.open("offers") / "offers.json")
    assert first["order"] == ["a", "b", "c"]
    assert first["prices_are_examples"] is False
    write_pool(tmp_path, entries[::-1])
    assert run(offers.STEP, project).made == ("",)
    second = read_json(project.open("offers") / "offers.json")
    assert second == first | {"order": ["c", "b", "a"]}
    days = ["2026-03-01", None, "2025-12-31"]
    dated = [one | {"registered": day} for one, day in zip(entries, days, strict=True)]
    write_pool(tmp_path, dated)
    run(offers.STEP, project)
    assert read_json(project.open("offers") / "offers.json")["order"] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("name", "count", "prices"),
    [
        ("demo", 16, {60, 100, 150}),
        ("math", 7, {118, 148, 150, 161, 179, 181, 284}),
        ("preferences", 12, {60, 100, 150}),
    ],
)
def test_the_pools_that_come_with_it(name: str, count: int, prices: set[float]) -> None:
    pool = offers.read_pool(ROOT / "pools" / f"{name}.yaml", ROOT)
    raw = yaml.safe_load((ROOT / "pools" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert len(pool.offers) == len(raw["offers"]) == count
    assert pool.set_aside == ()
    assert pool.prices_are_examples
    assert {one.price for one in pool.offers} == prices


@pytest.mark.parametrize(("name", "objective"), [("math", "grpo"), ("preferences", "dpo")])
def test_settings_for_other_objectives(name: str, objective: str) -> None:
    params = read_params(ROOT / "pools" / f"{name}.params.yaml")
    assert params.gradient_sketches.objective.kind == objective
    assert params.offers.pool == Path(f"pools/{name}.yaml")
    usual = read_params(ROOT / "params.yaml")
    assert params.base_model.lora == usual.base_model.lora
    components = [one for target in params.target_sets.values() for one in target.components]
    pool = offers.read_pool(ROOT / params.offers.pool, ROOT)
    for source in (*components, *pool.offers):
        assert RowTemplates.of(source).gives_pairs == (objective == "dpo")


def test_offers_of_an_earlier_version_are_one_line(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(offers.STEP, project)
    content = read_json(project.open("offers") / "offers.json")
    del content["order"]
    with project.writing("offers", "", Recipe("1", {})) as folder:
        write_json(folder / "offers.json", content)
    with pytest.raises(ArtifactError, match=r"order: .*; run `appraise offers` again"):
        Project(tmp_path).read(Offers, "offers")
