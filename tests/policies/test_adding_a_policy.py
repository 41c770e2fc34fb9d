"""What CONTRIBUTING.md shows for adding a policy, carried out."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import test_policies
from random_pools import given

from appraise.policies import POLICIES
from appraise.policies.policy import Policy
from appraise.project.params import Params

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
TARGET = {"title": "T", "components": [{"name": "c", "source": "x.jsonl"}]}


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """The policy of the section, by its own module and its own entry in the registry."""
    section = CONTRIBUTING.read_text(encoding="utf-8").split("## Add a policy\n")[1]
    source, entry = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    module = ModuleType("cheapest_first")
    exec(compile(source, module.__name__, "exec"), module.__dict__)
    assert module.__doc__
    policy = eval(entry, {"cheapest_first": module.__dict__["cheapest_first"]})
    assert isinstance(policy, Policy)
    monkeypatch.setitem(POLICIES, policy.name, policy)
    return policy


def test_it_passes_what_every_policy_has_to_pass(added: Policy) -> None:
    test_policies.test_it_says_what_it_is(added)
    test_policies.test_limits_are_obeyed_and_nothing_is_left_to_chance(added)
    test_policies.test_the_order_of_the_datasets_does_not_matter(added)
    test_policies.test_it_depends_on_what_it_says_and_on_nothing_else(added)
    test_policies.test_an_empty_pool_and_no_limits(added)
    test_policies.test_other_budgets_and_changes_of_every_policy_that_decides(added, False)
    test_policies.test_a_walk_away_price_of_every_policy_that_decides(added)


def test_it_does_what_it_says(added: Policy) -> None:
    for seed in range(20):
        of = given(seed)
        lots = of.limits.lots
        if lots.excludes or lots.barred or len(lots.members) < len(of.ids):
            continue
        bought, prices = added.choose(of).chosen, of.limits.prices
        cheapest = np.lexsort((np.array(of.ids), prices))[: len(bought)]
        assert set(bought) == set(cheapest.tolist())


def test_settings_may_name_it_and_decide_by_it(added: Policy) -> None:
    params = Params.model_validate(
        {
            "base_model": {"source": "m"},
            "offers": {"pool": "pool.yaml"},
            "target_sets": {"t": TARGET},
            "selected_subset": {"policies": ["none", added.name], "decide_by": added.name},
        }
    )
    assert params.policies() == ("none", added.name)
