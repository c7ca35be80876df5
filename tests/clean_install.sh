#!/bin/sh
# Install the wheel into an empty environment, without any development package. It must start, export,
# pass type checkers from outside, and work beside the official client, whichever is installed last.
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
import pandas
import swanlab_export as se
with se.connect(host='sandbox') as api:
    runs = api.run.list('ada-lab/digits')
    path = api.using(save='runs.parquet').run.list('ada-lab/digits')
assert len(runs) == 16
pandas.testing.assert_frame_equal(pandas.read_parquet(path), runs)
"
if swanlab-export api run metrics ada-lab/digits/linear --keys loss --all --save loss.png --host sandbox 2> said; then
    echo "a picture without matplotlib?"; exit 1
fi
grep -q "pip install matplotlib" said

pip install polars pandas-stubs
cp "$types" user.py
"$python" -m mypy --strict --python-executable venv/bin/python --cache-dir .mypy_cache user.py

# Both packages install a script named swanlab: the package that was installed last provides it, and
# swanlab-export is always ours.
pip install swanlab==0.10.3
works
python -m swanlab_export sync --help > /dev/null
pip install --force-reinstall --no-deps "$wheel"
works
swanlab api --help | grep -q "typed table"
