#!/usr/bin/env bash
# Scores a checkpoint on every benchmark that has a folder below DATA (data/pope, data/mme, ...); without such data on
# the picture book, which needs none.
#
#   bash scripts/run_all_evals.sh [CHECKPOINT] [DATA] [options of blip3o evaluate]
#
# GPUS=8 before it spreads the benchmarks over as many.
set -euo pipefail
checkpoint=${1:-picturebook} data=${2:-data}
shift $(($# < 2 ? $# : 2))
python=${PYTHON:-python}
if [ ! -d "$data" ]; then
    echo "$data is no folder, so no benchmark has data: the picture book alone is scored" >&2
    exec "$python" -m blip3o evaluate --suite picturebook --model "$checkpoint" "$@"
fi
run=("$python" -m blip3o)
if [ "${GPUS:-1}" -gt 1 ]; then
    run=("$python" -m torch.distributed.run --nproc-per-node "$GPUS" -m blip3o)
fi
exec "${run[@]}" evaluate --suite all --model "$checkpoint" --data "$data" "$@"
