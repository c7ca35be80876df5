"""Object stores that run on this machine: three servers that speak S3, each with one bucket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS = ("juicefs", "moto", "rclone")
# A server that looks at no signature.
OPEN = "open rclone"
BUCKET = "lab"
KEY, SECRET = "test-key-of-a-store", "test-secret-of-a-store"
_START_S = 30


@dataclass(frozen=True)
class Store:
    """A server that runs."""

    name: str
    endpoint: str

    @property
    def client(self) -> Any:
        """A client that is not ours."""
        return _client(self.endpoint)

    @property
    def environ(self) -> dict[str, str]:
        """What a user of this store has in the environment."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str = "") -> list[str]:
        """The names of all objects below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def remove_all(self) -> None:
        """Remove every object."""
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def serve(name: str, folder: Path) -> Iterator[Store]:
    """Start a server on a free port, with its data in ``folder``; stop it at the end."""
    port = _free_port()
    process = subprocess.Popen(
        _command(name, folder, port),
        env=os.environ | {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(port, process)
        store = Store(name, f"http://127.0.0.1:{port}")
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        process.kill()
        process.wait()


@lru_cache(maxsize=8)
def _client(endpoint: str) -> Any:
    import boto3  # takes a while to import

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )


def _command(name: str, folder: Path, port: int) -> list[str]:
    programs = Path(sys.executable).parent
    address = f"127.0.0.1:{port}"
    if name == "moto":
        return [str(programs / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    if name in {"rclone", OPEN}:
        key = ["--auth-key", f"{KEY},{SECRET}"] if name == "rclone" else []
        return [str(programs / "rclone"), "serve", "s3", "--addr", address, *key, str(folder)]
    database = f"sqlite3://{folder / 'juicefs.db'}"
    program = str(programs / "juicefs")
    bucket = ["--storage", "file", "--bucket", str(folder / "data"), "--trash-days", "0"]
    form = [program, "format", *bucket, database, "lab"]
    subprocess.run(form, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folders = ["--cache-dir", str(folder / "cache"), "--log", str(folder / "log")]
    return [program, "gateway", "--no-banner", "--multi-buckets", *folders, database, address]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {process.args!r}")
