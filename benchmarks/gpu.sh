#!/usr/bin/env bash
# What only a GPU can show, within eight minutes and without a network (benchmarks/gpu.py says what).
#   benchmarks/gpu.sh [--dry-run] [--out FOLDER]
#   benchmarks/gpu.sh --wheels 3.12    before, where there is a network: into wheels/ what a machine that has torch,
#                                      transformers, timm, accelerate, pandas and pytest, for that Python, lacks yet
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --wheels ]; then
    platforms=(manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux1_x86_64)
    exec python3 -m pip download -q --only-binary=:all: -d wheels -c <(grep -oE '^[a-z0-9.-]+==[^ ;]+' requirements.lock) \
        --python-version "${2:?which Python: 3.12}" "${platforms[@]/#/--platform=}" \
        papermill nbclient nbformat ipython pydantic mistune google-crc32c
fi
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive HF_HUB_OFFLINE=1 VIDLAB_PROGRESS=off PYTORCH_NVML_BASED_CUDA_CHECK=1
case " $* " in *" --dry-run "*) export TORCHDYNAMO_DISABLE=1 ;; esac # a compiler for CPUs is not what is tried
python=.venv/bin/python
if [ ! -x "$python" ]; then
    python=python3 site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --target "$site" wheels/*.whl
    export PYTHONPATH="$PWD:$site"
fi
exec "$python" -m benchmarks.gpu "$@"
