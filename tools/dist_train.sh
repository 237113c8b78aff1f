#!/usr/bin/env bash
# Train with several processes on this machine, or as one of several machines:
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
# Environment: NNODES, NODE_RANK, MASTER_ADDR, PORT, PYTHON, MAX_RESTARTS (how often the processes
# are started again after one has died; with --resume from the newest whole checkpoint).
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG PROCESSES [options of tools/train.py]" >&2
    exit 2
fi
tools=$(cd "$(dirname "$0")" && pwd)
config=$1
processes=$2
shift 2

# --: what follows is not torchrun's; it would refuse --log as short for several of its own options
PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$processes" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --max_restarts="${MAX_RESTARTS:-0}" \
    -- "$tools/train.py" "$config" --launcher pytorch "$@"
