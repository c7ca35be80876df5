"""The page inside of a backup: how to read it without this program."""

README = """\
# A backup of SwanLab

Written by swanlab-export (https://pypi.org/project/swanlab-export). Everything below `tables/` is
plain Parquet, and is what was true when the last backup ended. Any reader takes it as it lies:

    import pandas as pd
    runs = pd.read_parquet("tables/runs")                       # one row per run
    loss = pd.read_parquet("tables/metrics", filters=[("key", "==", "loss")])

    SELECT r.name, m.step, m.value                              -- DuckDB
    FROM 'tables/metrics/**/*.parquet' m JOIN 'tables/runs/**/*.parquet' r USING (run_id)
    WHERE m.key = 'loss';

| table | rows |
|---|---|
| `tables/projects.parquet`, `workspaces.parquet`, `me.parquet` | what holds the runs |
| `tables/runs/<workspace>/<project>.parquet` | one per run; `config` and `metadata` are JSON |
| `tables/configs/...` | one per run and config, each value in the column of its type |
| `tables/summary/...`, `tables/columns/...` | one per run and key |
| `tables/metrics/<workspace>/<project>/<run>.parquet` | one per key and step |
| `tables/logs/...` | one per line of the console log |
| `tables/medias/...` | one per image, audio and so on; `file` is its path in here |

polars reads `tables/metrics/**/*.parquet`, Spark `tables/metrics/*/*/*.parquet`. pandas and pyarrow may
read while a backup is being written: they see each file as it was, or as it is. DuckDB and polars
open a file more than once, fail if it was replaced in between, or mix the two: let them read when no
backup is being written.

`project_id` and `run_id` are in all of them. Times are UTC. A folder keeps its name when its project
is renamed: names are in the tables. `backup.gone_at` is set where the server no longer has a run.

`files/` holds media, named after their sha256. `state/` is the program's own: receipts with the size
and sha256 of every object, what the server sent (`payloads`, zstd), an index, and the snapshots.

    swanlab-export backup verify .        # is everything as it was written?
    swanlab-export backup diff .          # what did the last backup change?

Nothing can be uploaded again from here: to restore means to read.
"""
