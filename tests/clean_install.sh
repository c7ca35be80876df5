#!/bin/sh
# A wheel in an empty environment, without any of the development packages, must start and export.
set -eu
python=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m build --wheel --outdir "$folder" . > "$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "$(ls "$folder"/*.whl)[sandbox]"
cd "$folder"
venv/bin/swanlab-export --version
test -f venv/lib/python*/site-packages/swanlab_export/py.typed
venv/bin/swanlab-export api run metrics ada-lab/digits/mlp-adam --keys loss --all --save loss.parquet --host sandbox
venv/bin/python -c "import pandas; assert len(pandas.read_parquet('loss.parquet')) == 880"
