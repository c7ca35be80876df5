"""The least that a Parquet export can cost: requests, pyarrow.csv, ParquetWriter, no checks.

Usage: limit.py HOST API_KEY PATH KEYS OUT
"""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import requests


def main(host: str, api_key: str, path: str, keys: str, out: str) -> None:
    """Export the keys of one run to a long table."""
    run_id = path.rpartition("/")[2]
    session = requests.Session()

    def post(where: str, body: object) -> dict[str, object]:
        payload: dict[str, object] = session.post(f"{host}/api{where}", json=body).json()
        return payload

    login = session.post(f"{host}/api/login/api_key", headers={"authorization": api_key}).json()
    session.headers["cookie"] = f"sid={login['sid']}"
    names = keys.split(",")
    columns = [
        {"experimentId": run_id, "key": key, "createdAt": 1, "experimentName": run_id}
        for key in names
    ]
    export = post("/house/metrics/scalar/export", {"projectId": "p", "columns": columns})
    urls = post("/files/presigned/get", {"paths": [export["cosKey"]]})["urls"]
    assert isinstance(urls, list)
    with requests.get(urls[0], stream=True) as response:
        response.raw.decode_content = True
        reader = pa.csv.open_csv(
            response.raw, read_options=pa.csv.ReadOptions(block_size=4 << 20, use_threads=False)
        )
        writer = None
        for batch in reader:
            for i, key in enumerate(names):
                table = pa.table(
                    {
                        "run_id": pa.array([run_id]).take(pa.nulls(0, pa.int32()))
                        if batch.num_rows == 0
                        else pa.DictionaryArray.from_arrays(
                            pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows), pa.array([run_id])
                        ),
                        "key": pa.DictionaryArray.from_arrays(
                            pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows), pa.array([key])
                        ),
                        "step": batch.column(0),
                        "value": batch.column(1 + 2 * i).cast(pa.float64()),
                        "timestamp": batch.column(2 + 2 * i).cast(pa.timestamp("ms", tz="UTC")),
                    }
                )
                writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
                writer.write_table(table)
        if writer is not None:
            writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
