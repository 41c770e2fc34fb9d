#!/usr/bin/env bash
# Dagster's and MLflow's pages on this machine only; Ctrl-C ends all. `appraise ui` runs it in a project's folder.
set -euo pipefail
settings="$(cd "$(dirname "$0")" && pwd)/dagster.yaml"
cd "${APPRAISE_PROJECT:-.}"
export DAGSTER_HOME="${DAGSTER_HOME:-$PWD/.dagster}" MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false DO_NOT_TRACK=1
mkdir -p "$DAGSTER_HOME" .appraise
test -f "$DAGSTER_HOME/dagster.yaml" || cp "$settings" "$DAGSTER_HOME/"
trap 'kill 0' EXIT
mlflow server --host 127.0.0.1 --port "${MLFLOW_PORT:-5000}" \
  --backend-store-uri "${MLFLOW_TRACKING_URI:-sqlite:///$PWD/.appraise/mlflow.db}" \
  --artifacts-destination "$PWD/.appraise/mlartifacts" --workers 1 &
dagster-daemon run --module-name appraise.orchestration.definitions & # sensors, the schedule, queued runs
dagster-webserver --host 127.0.0.1 --port "${DAGSTER_PORT:-3000}" \
  --module-name appraise.orchestration.definitions &
wait
