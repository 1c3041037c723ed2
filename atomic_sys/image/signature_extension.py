# SPDX-License-Identifier: LGPL-2.1-or-later
"""The API by which a registry keeps the signatures of its images itself, as OpenShift's does.

The registry announces it by a header to whoever asks for `/v2/`. Its documents are opaque here.
Source: containers/image, docs/signature-protocols.md.
"""

from functools import partial

from atomic_sys.image.auth import AccessDenied
from atomic_sys.image.http import Method, Request
from atomic_sys.image.http_response import NetworkError, Response
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest

_HEADER = "X-Registry-Supports-Signatures"
_API = "extensions/v2"
_LIST_LIMIT = 4 << 20  # bytes
_CONFLICT = 409


class SignatureExtension:
    """The signatures of manifests in one repository (`PATH`, without the host) of a registry."""

    def __init__(self, client: RegistryClient, repository: str, patience: Patience) -> None:
        self._client = client
        self._repository = repository
        self._patience = patience
        self._announced: bool | None = None

    def announced(self) -> bool:
        """Whether the registry has it; asked once. Raises NetworkError."""
        if self._announced is None:
            self._announced = self._patience.call(self._ask)
        return self._announced

    def address(self, digest: Digest) -> str:
        """Where the signatures of this manifest are, without the scheme."""
        return f"{self._client.domain}/{_API}/{self._path(digest)}"

    def read(self, digest: Digest) -> bytes:
        """The list of the signatures of this manifest. Raises NetworkError, TooLarge."""
        return self._patience.call(partial(self._read, digest))

    def add(self, digest: Digest, document: bytes) -> None:
        """Add one signature of this manifest; the document has a name that nothing else has.

        Raises NetworkError; AccessDenied without the right to.
        """
        url = self._client.address(self._path(digest), api=_API)
        headers = {"Content-Type": "application/json"}
        request = Request(url=url, method=Method.PUT, headers=headers, body=document)
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            with self._client.send(request) as response:
                # Such a name can only be there from an attempt whose answer was lost.
                ours = response.status == _CONFLICT and attempts > 1
                if not 200 <= response.status < 300 and not ours:
                    raise self._failure(response, self.address(digest))

        self._patience.call(attempt)

    def _path(self, digest: Digest) -> str:
        return f"{self._repository}/signatures/{digest}"

    def _ask(self) -> bool:
        with self._client.get("") as response:
            return response.header(_HEADER) == "1"

    def _read(self, digest: Digest) -> bytes:
        what = self.address(digest)
        with self._client.get(self._path(digest), api=_API) as response:
            if response.status != 200:
                raise self._failure(response, what)
            return response.read(_LIST_LIMIT, what)

    def _failure(self, response: Response, what: str) -> NetworkError:
        error = response.failure(what)
        if response.status in (401, 403):
            return AccessDenied(str(error), hint=self._client.hint)
        return error
