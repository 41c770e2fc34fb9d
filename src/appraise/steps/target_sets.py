"""The task to improve, in three disjoint splits: value, train and test.

Rows that are empty, too long, repeated or without a right answer are dropped; what is left goes
into the splits by its own hash, whatever the order of the rows and the sizes of the other splits.
No question and no group (a passage, say) occurs in two splits, of whatever components.

`fingerprints.parquet` holds what each prompt of the components' sources is recognised by, chosen
for a split or not: `auxiliary_datasets` removes them all from the pool. So neither the splits'
sizes nor their seed change what is offered. Rows that `where` leaves out do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from appraise.errors import OfferError
from appraise.examples.lengths import TokenCounter
from appraise.examples.reading import SourceExamples, read_examples
from appraise.examples.rules import Limits
from appraise.examples.targets import check_readable, place, split_target
from appraise.examples.verdicts import Validation
from appraise.project import Project
from appraise.project.keys import target_of
from appraise.project.reads import Fact, Given, Part, Reads
from appraise.records.cards import TargetCard
from appraise.records.fingerprints import Fingerprints
from appraise.records.tables import SPLITS, TokenizerFile
from appraise.settings.data import Component
from appraise.steps.base_model import FORMAT
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Record, Step, each_target


def _pairs(project: Project, _: str) -> bool:
    return project.params.gradient_sketches.objective.pairs


# Whether a row must have a worse answer: all that tables of examples need of the objective.
PAIRS = Fact("pairs", _pairs, settings=("gradient_sketches.objective",))


def token_counter(given: Given) -> TokenCounter:
    """The base model's tokenizer, to count with."""
    return TokenCounter(given.read(TokenizerFile, "base_model").path, given.params.base_model)


def _sources(project: Project, key: str) -> dict[str, Path]:
    """Local sources that are not pinned by a hash: the file decides."""
    components = project.params.target_sets[target_of(key)].components
    paths = {
        component.name: project.root / component.source.split("::")[-1]
        for component in components
        if component.sha256 is None
    }
    return {name: path for name, path in paths.items() if path.is_file()}


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        target = given.params.target_sets[given.key]
        made = split_target(given.key, target, _parts(given, token_counter(given)))
        records: list[Record] = [
            SPLITS[split].of(examples) for split, examples in made.splits.items() if examples
        ]
        records += [Fingerprints(made.fingerprints), TargetCard(target.title, made.components)]
        yield Output(given.key, tuple(records))


def _parts(
    given: Given, counter: TokenCounter
) -> Iterator[tuple[Component, SourceExamples, Validation]]:
    """Each component with its rows and what Great Expectations says of them, read one by one."""
    from appraise.examples.validation import validate  # three seconds of imports

    pairs, target = bool(given.fact("pairs")), given.params.target_sets[given.key]
    limit = given.params.auxiliary_datasets.max_row_bytes
    limits = Limits(limit, given.params.base_model.max_length, 1, pairs)
    for component in target.components:
        try:
            dataset = read_examples(
                component,
                given.root,
                limit,
                group=component.group,
                seed=target.seed,
                pairs=pairs,
            )
            dataset.check_columns()
            tokens = counter.count(dataset.examples, pairs=pairs)
            validation = validate(component.name, dataset, tokens, limits)
            check_readable(component, dataset, validation)
        except OfferError as error:
            raise OfferError(f"{place(given.key, component)}: {error}") from None
        yield component, dataset, validation


STEP = Step(
    noun="target_sets",
    partitions="target",
    keys=each_target,
    reads=Reads(
        settings=("target_sets.*", "auxiliary_datasets.max_row_bytes", *FORMAT),
        parts=(Part("base_model", (TokenizerFile,)),),
        facts=(PAIRS,),
        outside=_sources,
    ),
    writes=(*SPLITS.values(), Fingerprints, TargetCard),
    make=_make,
    version="8",  # 8: sources in more formats; 7: splits by their own ends
)
