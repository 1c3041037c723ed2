# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with the keys of a list of requirements; the rules of trust.lint about keys."""

import itertools
import time
from collections.abc import Iterator

from atomic_sys.frozen import frozen
from atomic_sys.trust.key_facts import KeyFact, date
from atomic_sys.trust.requirements import Requirement, SignedBy

_SOON = 30 * 86400  # seconds


@frozen
class Demand:
    """A requirement and the keys that it names."""

    requirement: Requirement
    keys: tuple[KeyFact, ...]

    @property
    def real(self) -> tuple[KeyFact, ...]:
        """The keys that are there."""
        return tuple(key for key in self.keys if key.fingerprint is not None)


def missing(demands: tuple[Demand, ...]) -> Iterator[str]:
    """Whatever cannot be read; one missing file makes the whole requirement reject."""
    for key in _keys(demands):
        if key.fingerprint is None and key.flaw is not None:
            yield key.flaw if key.source in key.flaw else f"{key.source}: {key.flaw}"


def unusable(demands: tuple[Demand, ...]) -> Iterator[str]:
    """Requirements that no signature meets any more."""
    for demand in demands:
        keys = demand.real
        if keys and all(key.flaw is not None for key in keys):
            named = ", ".join(f"{key.shown} ({key.flaw})" for key in keys)
            yield f"no key of {demand.requirement.kind} can be used: {named}"


def flawed(demands: tuple[Demand, ...]) -> Iterator[str]:
    """Keys that do not count beside others that do."""
    for demand in demands:
        if any(key.flaw is None for key in demand.real):
            for key in demand.real:
                if key.flaw is not None:
                    yield f"the key {key.fingerprint} of {key.shown} is {key.flaw}"


def expiring(demands: tuple[Demand, ...]) -> Iterator[str]:
    """Keys that expire within a month: then what they signed is rejected too."""
    now = time.time()
    for key in _keys(demands):
        if key.flaw is None and key.expires is not None and key.expires < now + _SOON:
            yield f"the key {key.fingerprint} of {key.shown} expires on {date(key.expires)}"


def shared(demands: tuple[Demand, ...]) -> Iterator[str]:
    """Requirements that the signature of one key meets, so that they ask for no second one."""
    openpgp = [demand for demand in demands if isinstance(demand.requirement, SignedBy)]
    for one, other in itertools.combinations(openpgp, 2):
        both = {key.fingerprint for key in one.real} & {key.fingerprint for key in other.real}
        if both:
            named = ", ".join(sorted(str(fingerprint) for fingerprint in both))
            yield f"one signature of {named} meets two requirements"


def _keys(demands: tuple[Demand, ...]) -> Iterator[KeyFact]:
    for demand in demands:
        yield from demand.keys
