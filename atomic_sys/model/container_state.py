# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is known of a container beside its deployments: CHECKOUTS/.state/NAME.json.

A deployment's `info` says what it is; this says what was decided about the container, and stays
when deployments come and go. A container without this file has decided nothing.
"""

import json
from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import InvalidJson, Json, as_integer, as_object, as_string

STATE_DIRECTORY = ".state"  # below the checkouts
STATE_LIMIT = 1 << 20  # bytes


@frozen
class ContainerState:
    """`previous` is the number of the deployment that a rollback goes to.

    `held`: nobody may update it. `bad`: the image digest, as text, whose update failed; --all does
    not try it again.
    """

    previous: int | None = None
    held: bool = False
    bad: str | None = None

    def to_json(self) -> bytes:
        """The file's content."""
        body: dict[str, Json] = {"previous": self.previous, "held": self.held, "bad": self.bad}
        return json.dumps(body, indent=4).encode() + b"\n"

    @classmethod
    def from_json(cls, document: bytes, what: str) -> Self:
        """Read it; `what` names the file in the error. Raises InvalidJson."""
        body = as_object(strict_json.loads(document, what), what)
        previous, bad, held = body.get("previous"), body.get("bad"), body.get("held", False)
        if not isinstance(held, bool):
            raise InvalidJson(f"{what}: held is no boolean")
        return cls(
            previous=None if previous is None else as_integer(previous, f"{what}: previous"),
            held=held,
            bad=None if bad is None else as_string(bad, f"{what}: bad"),
        )
