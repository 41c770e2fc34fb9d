#!/usr/bin/env bash
# Write requirements.lock: every package of .venv at its version, without our own.
# torch is named without its build tag, so that the same line serves every index.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  echo "# Made by \`make lock\`. Python 3.11."
  .venv/bin/pip freeze --exclude-editable | grep -vi '^appraise' |
    sed -E 's/^(torch==[0-9.]+)\+.*/\1/; s/ @ file:.*//' | sort -f
} >requirements.lock
