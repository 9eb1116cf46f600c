#!/bin/bash
# Submits the jobs and prints their numbers; more options of sbatch for the array may follow.
set -euo pipefail
CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

array=$(sbatch --parsable "$@" array.sbatch)
array=${array%%;*}
echo "array $array"
# Starts when every element is done; is dropped when one failed.
merge=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes merge.sbatch)
echo "merge ${merge%%;*}"
