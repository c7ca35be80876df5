#!/bin/sh
# A wheel in an empty environment, without any of the development packages: it must start, export,
# type-check from outside, and get along with the official client, whichever is installed last.
set -eu
python=$1
types=$PWD/tests/typing/user.py
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m build --wheel --outdir "$folder" . > "$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
wheel=$(ls "$folder"/*.whl)
"$python" -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --quiet --disable-pip-version-check "$@"; }
pip install "$wheel[sandbox]"
export HOME="$folder"
cd "$folder"
PATH=$folder/venv/bin:$PATH

works() {
    swanlab-export --version
    swanlab-export api run metrics ada-lab/digits/mlp-adam --keys loss --all --save loss.parquet --host sandbox
    python -c "import pandas; assert len(pandas.read_parquet('loss.parquet')) == 880"
}

works
test -f venv/lib/python*/site-packages/swanlab_export/py.typed
python -c "
import swanlab_export as se
with se.connect(host='sandbox') as api:
    assert len(api.run.list('ada-lab/digits', full=True)) == 16
"
if swanlab-export api run metrics ada-lab/digits/linear --keys loss --all --save loss.png --host sandbox 2> said; then
    echo "a picture without matplotlib?"; exit 1
fi
grep -q "pip install 'swanlab-export\[plot\]'" said

pip install polars pandas-stubs
cp "$types" user.py
"$python" -m mypy --strict --python-executable venv/bin/python --cache-dir .mypy_cache user.py

# Both bring a script named swanlab: the one installed last has it, and swanlab-export is always ours.
pip install swanlab==0.10.3
works
python -m swanlab_export sync --help > /dev/null
pip install --force-reinstall --no-deps "$wheel"
works
swanlab api --help | grep -q "typed table"
