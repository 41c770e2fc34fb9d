"""Data versions: the SHA-256 of a partition and of what it was made from, as Dagster's tags.

Dagster compares the version of an unpartitioned input with the one in the tags; of a partitioned
input, the versions of its partitions since the event that the tags point to. Both are of content:
an unchanged result does not make what rests on it stale.
"""

from __future__ import annotations

from functools import cached_property

from dagster import DagsterInstance
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    INPUT_EVENT_POINTER_TAG_PREFIX,
    NULL_DATA_VERSION,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from appraise.orchestration.partitions import dagster_key
from appraise.orchestration.pipeline import Pipeline
from appraise.project import Project
from appraise.project.keys import rests_on
from appraise.storage.files import sha256_json


class DataVersions:
    """What is on disk of one asset and of what it needs, and what Dagster knows of it."""

    def __init__(
        self, pipeline: Pipeline, project: Project, instance: DagsterInstance, noun: str
    ) -> None:
        self._project, self._instance, self._noun = project, instance, noun
        self._asset_key = pipeline.asset_key
        self._code_version = pipeline.code_version(noun)
        self._kind = pipeline.partitions(noun)
        self._needs = {need: pipeline.partitions(need) for need in pipeline.stages[noun].needs}

    @cached_property
    def _contents(self) -> dict[str, dict[str, str]]:
        """For each input, its partitions on disk and their content."""
        return {
            need: {key: self._project.content(need, key) for key in self._project.partitions(need)}
            for need in self._needs
        }

    @cached_property
    def _pointers(self) -> dict[str, str]:
        """For each input, the latest event that Dagster has of it."""
        records = {
            need: self._instance.get_latest_data_version_record(
                self._asset_key(need), is_source=False
            )
            for need in self._needs
        }
        return {
            need: str(record.storage_id) if record else NULL_EVENT_POINTER
            for need, record in records.items()
        }

    def tags(self, key: str) -> dict[str, str]:
        """The tags of a partition as it is on disk now."""
        tags = {
            DATA_VERSION_TAG: self._project.content(self._noun, key),
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
            CODE_VERSION_TAG: self._code_version,
        }
        for need, kind in self._needs.items():
            used = {
                other: content
                for other, content in self._contents[need].items()
                if rests_on(self._kind, key, kind, other)
            }
            whole = used.get("", NULL_DATA_VERSION.value)
            tags[get_input_data_version_tag(self._asset_key(need))] = (
                sha256_json(used) if kind else whole
            )
            tags[get_input_event_pointer_tag(self._asset_key(need))] = self._pointers[need]
        return tags

    def known(self, key: str) -> bool:
        """Whether Dagster's latest event of a partition says what is on disk."""
        record = self._instance.get_latest_data_version_record(
            self._asset_key(self._noun), is_source=False, partition_key=dagster_key(self._kind, key)
        )
        if record is None:
            return False
        said = record.event_log_entry.tags or {}
        return all(
            said.get(name) == value
            for name, value in self.tags(key).items()
            if not name.startswith(INPUT_EVENT_POINTER_TAG_PREFIX)
        )
