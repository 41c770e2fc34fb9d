"""The assets, their checks, and the job that materialises everything.

Dagster refuses an asset job over assets with different partitions, and ours have five kinds. So
`everything` is a graph of ops with the edges of the asset graph; each op makes what the asset of
its name makes, all partitions of it, and logs the same events.
"""
# No postponed annotations here: Dagster reads the type of `context`.

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    DependencyDefinition,
    GraphDefinition,
    In,
    JobDefinition,
    MaterializeResult,
    NodeInvocation,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    PartitionsDefinition,
    asset_check,
    colored_console_logger,
    in_process_executor,
    multi_asset,
    op,
)

from appraise.errors import ArtifactError
from appraise.orchestration.materialise import (
    Materialised,
    examine,
    failing_in_one_line,
    materialise,
)
from appraise.orchestration.partitions import definitions, library_key, mapping
from appraise.orchestration.pipeline import Check, Pipeline
from appraise.orchestration.progress import progress_logger
from appraise.orchestration.step_executor import RESOURCE, StepExecutor
from appraise.project.keys import Partitions
from appraise.steps.recording import not_recorded, unrecorded

EVERYTHING = "everything"
RECORDED = "recorded"
AFTER = {"lora_adapter": ("valuation_decision",)}  # first decide, and record it; then train


def step_executor(pipeline: Pipeline, executor: str = "") -> dict[str, StepExecutor]:
    """The resource of the assets and the job, by its key.

    Args:
        executor: where the steps' partitions are made, unless a run is configured otherwise.
    """
    return {pipeline.named(RESOURCE): StepExecutor(executor=executor)}


def assets(pipeline: Pipeline) -> list[AssetsDefinition]:
    """An asset for each stage, with the partitions of its step."""
    kinds = definitions(pipeline)
    return [_asset(pipeline, noun, kinds) for noun in pipeline.stages]


def _asset(
    pipeline: Pipeline, noun: str, kinds: dict[Partitions, PartitionsDefinition | None]
) -> AssetsDefinition:
    stage, shown, kind = pipeline.stages[noun], pipeline.shown[noun], pipeline.partitions(noun)
    deps = [
        AssetDep(
            pipeline.asset_key(need), partition_mapping=mapping(kind, pipeline.partitions(need))
        )
        for need in stage.needs
    ]
    spec = AssetSpec(
        pipeline.asset_key(noun),
        deps=deps,
        description=stage.description,
        group_name=pipeline.group_name(noun),
        kinds=set(shown.kinds),
        owners=[f"team:{shown.owner}"],
        code_version=pipeline.code_version(noun),
        partitions_def=kinds[kind],
        metadata={"params": ", ".join(stage.sections) or "none", "dvc_stage": noun},
    )

    resource = pipeline.named(RESOURCE)

    @multi_asset(
        name=pipeline.named(noun),
        specs=[spec],
        backfill_policy=BackfillPolicy.single_run() if kind else None,
        required_resource_keys={resource},
    )
    def materialise_asset(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        with failing_in_one_line(pipeline):
            keys = [library_key(kind, key) for key in context.partition_keys] if kind else [""]
            existing = set(pipeline.step(noun).keys(pipeline.project()))
            wanted = [key for key in keys if key in existing] or keys
            for key in sorted(set(keys) - set(wanted)):
                context.log.warning(f"{noun}: {key} was set aside before this step")
            executor = getattr(context.resources, resource)
            done = materialise(pipeline, noun, context, executor, wanted)
            yield from _results(context, pipeline.asset_key(noun), len(keys), done)
            _refuse_unrecorded(pipeline, [noun])

    return materialise_asset


def _results(
    context: AssetExecutionContext, asset_key: AssetKey, wanted: int, done: list[Materialised]
) -> Iterator[MaterializeResult[None]]:
    """Of one partition, its result. Of many, Dagster would give all the same data version: so a
    result that says that the asset is there, then an event of its own for each partition."""
    if wanted == 1:
        only = done[0]
        yield MaterializeResult(asset_key, metadata=only.metadata, tags=only.tags)
        return
    yield MaterializeResult(asset_key)
    for partition in done:
        context.log_event(partition.event())


def asset_checks(pipeline: Pipeline) -> list[AssetChecksDefinition]:
    """The checks, each of one asset."""
    return [
        _asset_check(pipeline, noun, check)
        for noun in pipeline.stages
        for check in pipeline.shown[noun].checks
    ]


def _asset_check(pipeline: Pipeline, noun: str, check: Check) -> AssetChecksDefinition:
    @asset_check(
        asset=pipeline.asset_key(noun),
        name=check.name,
        description=check.description,
        blocking=check.blocking,
    )
    def examine_asset() -> AssetCheckResult:
        with failing_in_one_line(pipeline):
            result = examine(pipeline, noun, check)
        return AssetCheckResult(
            passed=result.passed, metadata=result.metadata, severity=result.severity
        )

    return examine_asset


def everything(
    pipeline: Pipeline, resources: Mapping[str, StepExecutor] | None = None
) -> JobDefinition:
    """The job that brings every partition of every asset up to date, and no more than that.

    Args:
        resources: what `step_executor` gives.
    """
    nouns = list(pipeline.stages)
    needs = {noun: _waits_for(pipeline, noun) for noun in nouns} | {RECORDED: tuple(nouns)}
    graph = GraphDefinition(
        name=pipeline.named(EVERYTHING),
        description="Bring every asset up to date: compute what is missing or out of date.",
        node_defs=[*(_op(pipeline, noun) for noun in nouns), _recorded(pipeline)],
        dependencies={
            NodeInvocation(_op_name(pipeline, name), alias=name): {
                need: DependencyDefinition(need) for need in needed
            }
            for name, needed in needs.items()
        },
    )
    return graph.to_job(
        resource_defs=resources or step_executor(pipeline),
        executor_def=in_process_executor,
        logger_defs={"console": colored_console_logger, "progress": progress_logger},
    )


def _waits_for(pipeline: Pipeline, noun: str) -> tuple[str, ...]:
    needs = pipeline.stages[noun].needs
    return needs + tuple(n for n in AFTER.get(noun, ()) if n in pipeline.stages and n not in needs)


def _op_name(pipeline: Pipeline, noun: str) -> str:
    """The asset's own op has the noun for a name; the node of this one is called by it too."""
    return pipeline.named(f"all_{noun}")


def _op(pipeline: Pipeline, noun: str) -> OpDefinition:
    stage, checks = pipeline.stages[noun], pipeline.shown[noun].checks
    resource = pipeline.named(RESOURCE)

    @op(
        name=_op_name(pipeline, noun),
        description=stage.description,
        ins={need: In(Nothing) for need in _waits_for(pipeline, noun)},
        out=Out(Nothing),
        required_resource_keys={resource},
    )
    def materialise_all(context: OpExecutionContext) -> Iterator[Any]:
        # Events are yielded: those given to `context.log_event` are lost when the op fails.
        with failing_in_one_line(pipeline):
            for made in materialise(pipeline, noun, context, getattr(context.resources, resource)):
                yield made.event()
            stopped = []
            for check in checks:
                result = examine(pipeline, noun, check)
                yield result
                if result.passed:
                    continue
                context.log.warning(f"{noun}: check {check.name} failed")
                if check.blocking and result.severity == AssetCheckSeverity.ERROR:
                    stopped.append(check.name)
            if stopped:
                raise ArtifactError(
                    f"{noun}: expected the checks to pass, found {', '.join(stopped)} failing; see "
                    "the asset's checks in Dagster (`make ui`)"
                )
        yield Output(None)

    return materialise_all


def _recorded(pipeline: Pipeline) -> OpDefinition:
    """The last op: the run has failed if something was made, but has no record."""

    @op(
        name=_op_name(pipeline, RECORDED),
        description="All that was made is recorded; a recorder that failed stopped nothing.",
        ins={noun: In(Nothing) for noun in pipeline.stages},
        out=Out(Nothing),
    )
    def all_recorded() -> None:
        with failing_in_one_line(pipeline):
            _refuse_unrecorded(pipeline, pipeline.stages)

    return all_recorded


def _refuse_unrecorded(pipeline: Pipeline, nouns: Iterable[str]) -> None:
    """RecorderError if a recorder of the pipeline has no record of one of these steps."""
    names = {recorder.name for recorder in pipeline.recorders}
    noted = unrecorded(pipeline.project())
    missed = {
        noun: {name: why for name, why in noted.get(noun, {}).items() if name in names}
        for noun in nouns
    }
    if any(missed.values()):
        raise not_recorded(missed)
