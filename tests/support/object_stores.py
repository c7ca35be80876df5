"""Object stores that run on this machine: three servers that speak S3, each with one bucket."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib import parse

from raw_server import reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest
    from raw_server import Asked

SERVERS = ("juicefs", "moto", "rclone")
# A server that looks at no signature.
OPEN = "open rclone"
BUCKET = "lab"
KEY, SECRET = "test-key-of-a-store", "test-secret-of-a-store"
_START_S = 60
_ATTEMPTS = 3
# What a command has where its port belongs.
_PORT = "{port}"


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
        """Remove every object, and uploads that never ended where they are listed."""
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        for each in self.uploads() if self.name == "moto" else ():
            self.client.abort_multipart_upload(
                Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"]
            )

    def uploads(self) -> list[dict[str, Any]]:
        """The uploads that have not ended."""
        listed = self.client.list_multipart_uploads(Bucket=BUCKET)
        return list(listed.get("Uploads", ()))


@contextmanager
def serve(name: str, folder: Path) -> Iterator[Store]:
    """Start a server on a free port, with its data in ``folder``; stop it at the end."""
    process, store = _start(name, folder)
    try:
        yield store
    finally:
        process.kill()
        process.wait()


def _start(name: str, folder: Path) -> tuple[subprocess.Popen[bytes], Store]:
    """Start a server; on another port where something took the port that was free."""
    program = _prepare(name, folder)
    for _ in range(_ATTEMPTS):
        port = _free_port()
        process = subprocess.Popen(
            [word.replace(_PORT, str(port)) for word in program],
            env=os.environ | {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        store = Store(name, f"http://127.0.0.1:{port}")
        # What listens there may be something else, where this process has not yet noticed it.
        if _is_up(port, process) and _has_bucket(store) and process.poll() is None:
            return process, store
        process.kill()
        process.wait()
    raise AssertionError(f"the server did not start: {program}")


def use_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Empty a store, and have its endpoint and keys in the environment."""
    store.remove_all()
    for name, value in store.environ.items():
        monkeypatch.setenv(name, value)
    return store


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


def _prepare(name: str, folder: Path) -> list[str]:
    """The command that starts a server."""
    programs = Path(sys.executable).parent
    address = f"127.0.0.1:{_PORT}"
    if name == "moto":
        return [str(programs / "moto_server"), "-H", "127.0.0.1", "-p", _PORT]
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


def _has_bucket(store: Store) -> bool:
    errors: Any = import_module("botocore.exceptions")
    try:
        with suppress(errors.ClientError):  # of an earlier attempt
            store.client.create_bucket(Bucket=BUCKET)
        store.client.head_bucket(Bucket=BUCKET)
    except (errors.BotoCoreError, errors.ClientError):
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_up(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a server takes connections; not so if it ends, or takes too long."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process.poll() is None
        time.sleep(0.05)
    return False


class Proxy:
    """Passes requests on to a store, and lets a function change them or their responses."""

    def __init__(self, store: Store, change: Callable[[Asked], bytes | None]) -> None:
        self._host = parse.urlsplit(store.endpoint).netloc
        self._change = change

    def __call__(self, asked: Asked) -> bytes:
        """Respond as the function does, else as the store does."""
        changed = self._change(asked)
        return self.forward(asked) if changed is None else changed

    def forward(self, asked: Asked) -> bytes:
        """The response of the store."""
        left_out = {"host", "content-length"}
        headers = {n: v for n, v in asked.headers.items() if n not in left_out}
        headers |= {"host": self._host}
        with closing(http.client.HTTPConnection(self._host)) as connection:
            connection.request(asked.method, asked.target, asked.body, headers)
            response = connection.getresponse()
            body = response.read()
        kept = {n.lower(): v for n, v in response.getheaders()}
        for name in ("transfer-encoding", "connection"):
            kept.pop(name, None)
        size = kept.get("content-length", "0") if asked.method == "HEAD" else str(len(body))
        return reply(response.status, body, kept | {"content-length": size})
