"""Where the partitions are made, as a resource that a run in Dagster can configure."""

from __future__ import annotations

from dagster import ConfigurableResource
from pydantic import Field

from appraise.steps.executors import Executor, default_executor, executor

RESOURCE = "step_executor"


class StepExecutor(ConfigurableResource[Executor]):
    """The executor of the steps, for every asset of a project."""

    executor: str = Field(
        "",
        description="here, or processes:N to share partitions out among N processes; "
        "empty for what APPRAISE_EXECUTOR names, and without that here.",
    )

    def chosen(self) -> Executor:
        """The executor.

        Raises:
            ParamsError: there is none of this name, or the number does not fit it.
        """
        return executor(self.executor) if self.executor else default_executor()
