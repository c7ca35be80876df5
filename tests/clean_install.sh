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
# removing either package removes it. swanlab-export is always ours, and works without the other.
script_is() {
    found=ours
    grep -q swanlab_export venv/bin/swanlab 2> /dev/null || found=theirs
    test -e venv/bin/swanlab || found=gone
    test "$found" = "$1" || { echo "after $2: the script swanlab is $found, not $1"; exit 1; }
}
install_ours() { pip install --force-reinstall --no-deps "$wheel"; }
install_theirs() { pip install --force-reinstall --no-deps swanlab==0.10.3; }

pip install swanlab==0.10.3
script_is theirs "installing ours and then theirs"
works
python -m swanlab_export sync --help > /dev/null
pip uninstall --yes swanlab
script_is gone "removing theirs, which was installed last"
works
install_theirs
pip uninstall --yes swanlab-export
script_is gone "removing ours, which was installed first"
test ! -e venv/bin/swanlab-export
install_ours
script_is ours "installing theirs and then ours"
works
swanlab api --help | grep -q "typed table"
swanlab sync --help > /dev/null
pip uninstall --yes swanlab-export
script_is gone "removing ours, which was installed last"
install_ours
pip uninstall --yes swanlab
script_is gone "removing theirs, which was installed first"
works
