# SPDX-License-Identifier: LGPL-2.1-or-later
"""etcd's v3 API over its JSON gateway: the six calls that leasing a subnet takes.

https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/. Keys and values travel as base64, 64-bit
integers as strings, and a field that has its zero value is left out.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_ANSWER_LIMIT = 16 << 20  # bytes; a network of ten thousand hosts takes about four million
_TIMEOUT = 5.0  # seconds for one answer of one endpoint


class EtcdUnavailable(Exception):
    """No endpoint gave an answer that makes sense; it is worth trying again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValue:
    """One key as etcd holds it; `revision` changes with every write."""

    key: str
    value: str
    revision: int
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM for endpoints with https; an empty name is "not used"."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """A client context that verifies the server; OSError for a file that cannot be read."""
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The cluster behind `endpoints`, URLs that are tried in turn. Every call may raise
    EtcdUnavailable."""

    endpoints: tuple[str, ...]
    tls: Tls = Tls()

    def get(self, key: str) -> KeyValue | None:
        """The key's current value, or None when there is no such key."""
        found = self._range({"key": _encode(key)})
        return found[0] if found else None

    def below(self, prefix: str) -> list[KeyValue]:
        """All keys that begin with `prefix`, which ends in a slash."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        return self._range({"key": _encode(prefix), "range_end": _encode(end)})

    def put(self, key: str, value: str, *, lease: int = 0, revision: int = 0) -> bool:
        """Write the key if it still has `revision` (0: if it does not exist), and say whether it
        had."""
        answer = self._call(
            "/v3/kv/txn",
            {
                "compare": [
                    {
                        "key": _encode(key),
                        "target": "MOD",
                        "result": "EQUAL",
                        "mod_revision": str(revision),
                    }
                ],
                "success": [
                    {
                        "request_put": {
                            "key": _encode(key),
                            "value": _encode(value),
                            "lease": str(lease),
                        }
                    }
                ],
            },
        )
        return answer.get("succeeded") is True

    def grant(self, seconds: int) -> int:
        """A new lease that ends in `seconds` unless it is renewed; the answer is its id."""
        return int(self._call("/v3/lease/grant", {"TTL": str(seconds)})["ID"])

    def renew(self, lease: int) -> bool:
        """Renew a lease; False when it has ended."""
        answer = self._call("/v3/lease/keepalive", {"ID": str(lease)})
        return int(answer["result"].get("TTL", "0")) > 0

    def _range(self, request: Mapping[str, str]) -> list[KeyValue]:
        return [
            KeyValue(
                key=_decode(item["key"]),
                value=_decode(item.get("value", "")),
                revision=int(item["mod_revision"]),
                lease=int(item.get("lease", "0")),
            )
            for item in self._call("/v3/kv/range", request).get("kvs", ())
        ]

    def _call(self, path: str, request: Mapping[str, object]) -> dict[str, Any]:
        problems = []
        for endpoint in self.endpoints:
            try:
                return self._ask(endpoint, path, json.dumps(request))
            except (OSError, http.client.HTTPException, ValueError) as error:
                problems.append(f"{endpoint}: {error}")
        raise EtcdUnavailable("; ".join(problems) or "no endpoint is configured")

    def _ask(self, endpoint: str, path: str, body: str) -> dict[str, Any]:
        url = urlsplit(endpoint)
        where = (url.hostname or "", url.port)
        connection = (
            http.client.HTTPSConnection(*where, timeout=_TIMEOUT, context=self.tls.context())
            if url.scheme == "https"
            else http.client.HTTPConnection(*where, timeout=_TIMEOUT)
        )
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read(_ANSWER_LIMIT + 1)
        finally:
            connection.close()
        if len(text) > _ANSWER_LIMIT:
            raise ValueError("an answer that is too long")
        if response.status != http.client.OK:
            raise ValueError(f"HTTP {response.status}: {text[:200]!r}")
        answer = json.loads(text)
        if not isinstance(answer, dict) or "error" in answer:
            raise ValueError(f"not an answer: {text[:200]!r}")
        return answer


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _decode(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "replace")
