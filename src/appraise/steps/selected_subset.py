"""The datasets that each policy buys: at most k, within budget (`appraise.policies`).

Whatever the policy, the set is refitted where a method has a program: its objective, and a bound
that no set within k and budget can beat. For the policy that decides also what every other budget
would buy, and what would have to change for each refused dataset to be bought.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from appraise.methods import METHODS
from appraise.policies import POLICIES
from appraise.project import Project
from appraise.project.keys import joined, name_of, target_of
from appraise.project.reads import Fact, Given, Part, Reads
from appraise.records.certificate import ProgramCertificate
from appraise.records.kernel import Kernel
from appraise.records.sketch import Sketch
from appraise.records.subset import Subset
from appraise.records.values import Resamples, WeightsTable
from appraise.steps.alternatives import alternatives
from appraise.steps.buyer import VALUES, Buyer
from appraise.steps.dataset_values import METHOD_NAMES, REMEDY, kernel_ids
from appraise.steps.kernel_matrix import SKETCHES, TARGET_SKETCHES
from appraise.steps.offered import offered, sold
from appraise.steps.progress import Progress
from appraise.steps.step import Keys, Output, Step, targets


def by_policy(project: Project) -> list[str]:
    """target/policy for every target and every policy that means something here."""
    policies = project.params.policies()
    return [joined(target, policy) for target in targets(project) for policy in policies]


def proving(project: Project, key: str) -> list[str]:
    """The values with a proof, whose program says how good any set is; none without such."""
    methods = [name for name in project.params.methods() if METHODS[name].proves]
    return [joined(target_of(key), name) for name in methods[:1]]


def _own(_: Project, key: str) -> list[str]:
    """The values that the policy reads; none where it reads none."""
    method = POLICIES[name_of(key)].method
    return [] if method is None else [joined(target_of(key), method)]


def _valued(project: Project, key: str) -> list[str]:
    return list(dict.fromkeys([*_own(project, key), *proving(project, key)]))


def _follows_resamples(project: Project, key: str) -> bool:
    """Whether the policy decides, and would have decided otherwise on other sample rows."""
    policy = POLICIES[name_of(key)]
    averages = "resamples" in policy.depends_on  # what resamples say on average is what it reads
    resamples = project.params.dataset_values.bootstraps
    return decides(project, key) and policy.method is not None and not averages and resamples > 0


def _by_objective(key: str) -> bool:
    return "objective" in POLICIES[name_of(key)].depends_on


def _resampled(project: Project, key: str) -> list[str]:
    """The resampled values that a policy that decides by values would have read instead."""
    if not _follows_resamples(project, key) or _by_objective(key):
        return []
    return [
        own for own in _own(project, key) if Resamples.FILE in project.manifest(VALUES, own).files
    ]


def _redrawn(project: Project, key: str) -> list[str]:
    """The datasets whose rows are drawn again, for a policy that decides by the objective."""
    asked = _follows_resamples(project, key) and _by_objective(key)
    return kernel_ids(project) if asked else []


def _redrawn_target(project: Project, key: str) -> list[str]:
    return [target_of(key)] if _redrawn(project, key) else []


def _resampling(project: Project, key: str) -> JsonValue:
    """How rows are drawn again; None where nothing is."""
    if not _redrawn(project, key):
        return None
    params = project.params
    return {
        "bootstraps": params.dataset_values.bootstraps,
        "seed": params.dataset_values.seed,
        "normalize": params.kernel_matrix.normalize,
    }


def decides(project: Project, key: str) -> bool:
    """Whether the policy's purchase is the decision."""
    return name_of(key) == project.params.selected_subset.decide_by


def _offered(project: Project, _: str) -> JsonValue:
    return offered(project, kernel_ids(project), REMEDY).model_dump(mode="json")


def _sold(project: Project, _: str) -> JsonValue:
    return sold(project).model_dump(mode="json")


def _seed(project: Project, key: str) -> int | None:
    depends = "seed" in POLICIES[name_of(key)].depends_on
    return project.params.selected_subset.seed if depends else None


def _search_limit(project: Project, key: str) -> int | None:
    depends = "search_limit" in POLICIES[name_of(key)].depends_on
    return project.params.selected_subset.search_limit if depends else None


def _confidence(project: Project, key: str) -> float | None:
    return project.params.dataset_values.confidence if decides(project, key) else None


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    for given in partitions:
        buyer = Buyer(given)
        limits, purchase = buyer.question.limits, buyer.purchase
        beyond = None
        if given.fact("decides"):
            beyond = alternatives(buyer, _resamples(given), given.fact("confidence"))
        subset = Subset(
            policy=buyer.policy.name,
            k=limits.k,
            budget=limits.budget,
            exchange_rate=limits.exchange_rate,
            datasets=tuple(buyer.ids[i] for i in purchase.chosen),
            cost=purchase.cost,
            currency=buyer.sold.currency,
            ranking=buyer.ranking(),
            reached=buyer.reached(),
            alternatives=beyond,
        )
        yield Output(given.key, (subset,))
        progress.step(0, given.key)


def _resamples(given: Given) -> int:
    """How many there are of what the policy reads."""
    if given.fact("resampling") is not None:
        return int(given.fact("resampling")["bootstraps"])
    own = given.fact("resampled")
    return len(given.read(Resamples, VALUES, own[0]).weights) if own else 0


STEP = Step(
    noun="selected_subset",
    partitions="target/policy",
    keys=Keys(by_policy, settings=("selected_subset.policies", "lora_adapter.target_share")),
    reads=Reads(
        settings=(
            "selected_subset.k",
            "selected_subset.budget",
            "selected_subset.exchange_rate",
        ),
        parts=(
            Part("kernel_matrix", (Kernel,)),
            Part(VALUES, (WeightsTable,), _valued),
            Part(VALUES, (ProgramCertificate,), proving),
            Part(VALUES, (Resamples,), _resampled),
            Part(SKETCHES, (Sketch,), _redrawn),
            Part(TARGET_SKETCHES, (Sketch,), _redrawn_target),
        ),
        facts=(
            Fact("offered", _offered, nouns=("offers", "kernel_matrix")),
            Fact("sold", _sold, nouns=("offers",)),
            Fact("proving", proving, settings=METHOD_NAMES),
            Fact("decides", decides, settings=("selected_subset.decide_by",)),
            Fact("resampled", _resampled, settings=("selected_subset.decide_by",)),
            Fact(
                "resampling",
                _resampling,
                nouns=("kernel_matrix",),
                settings=(
                    "dataset_values.bootstraps",
                    "dataset_values.seed",
                    "kernel_matrix.normalize",
                    "selected_subset.decide_by",
                ),
            ),
            Fact("confidence", _confidence, settings=("dataset_values.confidence",)),
            Fact("seed", _seed, settings=("selected_subset.seed",)),
            Fact("search_limit", _search_limit, settings=("selected_subset.search_limit",)),
        ),
    ),
    writes=(Subset,),
    make=_make,
    version="4",  # 4: money in the choice of sets; 3: prices from the offers
)
