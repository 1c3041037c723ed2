# SPDX-License-Identifier: LGPL-2.1-or-later
"""Just enough of etcd's JSON gateway, on a real socket: keys with revisions, leases."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeEtcd:
    """Keys are as they travel, in base64, which keeps no order that the tests need."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, str]] = {}
        self.leases: set[int] = set()
        self.revision = 0
        self.url = ""
        self.before_txn: list[tuple[str, str]] = []  # keys that another client is faster to write
        self.answer: bytes | None = None  # instead of a right one

    def write(self, key: str, value: str, lease: str = "0") -> None:
        self.revision += 1
        self.keys[key] = {
            "key": encode(key), "value": encode(value),
            "mod_revision": str(self.revision), "lease": lease,
        }  # fmt: skip

    def end_lease(self, lease: int) -> None:
        self.leases.discard(lease)
        self.keys = {k: v for k, v in self.keys.items() if v["lease"] != str(lease)}

    def handle(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        match path:
            case "/v3/kv/range":
                start = decode(request["key"])
                end = decode(request["range_end"]) if "range_end" in request else start + "\0"
                found = [item for key, item in sorted(self.keys.items()) if start <= key < end]
                return {"kvs": found} if found else {}
            case "/v3/kv/txn":
                for other in self.before_txn:
                    self.write(*other)
                self.before_txn = []
                (compare,), (put,) = request["compare"], request["success"]
                present = self.keys.get(decode(compare["key"]), {"mod_revision": "0"})
                if present["mod_revision"] != compare["mod_revision"]:
                    return {"header": {}}
                item = put["request_put"]
                self.write(decode(item["key"]), decode(item["value"]), item["lease"])
                return {"succeeded": True}
            case "/v3/lease/grant":
                self.leases.add(len(self.leases) + 1)
                return {"ID": str(len(self.leases)), "TTL": request["TTL"]}
            case "/v3/lease/keepalive":
                alive = int(request["ID"]) in self.leases
                return {"result": {"ID": request["ID"]} | ({"TTL": "9"} if alive else {})}
            case _:
                raise AssertionError(path)


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    return base64.b64decode(text).decode()


@contextmanager
def serving() -> Iterator[FakeEtcd]:
    """A fake that answers on 127.0.0.1 for the length of the block."""
    fake = FakeEtcd()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = fake.answer
            if answer is None:
                answer = json.dumps(fake.handle(self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
