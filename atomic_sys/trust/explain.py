# SPDX-License-Identifier: LGPL-2.1-or-later
"""A rejection, for whoever asked for the image: at most five lines, and what can be done."""

import shlex
from typing import assert_never

from atomic_sys.errors import Rejected
from atomic_sys.trust.verdict import Cause, RequirementVerdict, Verdict

_MAX_DETAILS = 4  # lines below the first one


def rejection(verdict: Verdict, image: str) -> Rejected:
    """The error for an image that was not accepted; `image` is an argument that names it."""
    denied = [requirement for requirement in verdict.requirements if not requirement.accepted]
    place = f"{verdict.source} ({verdict.place})"
    cause = next((one.cause for one in denied if one.cause is not None), Cause.POLICY)
    told = dict.fromkeys(f"{one.kind}: {one.reason}" for one in denied)
    reasons = "; ".join(told) or "no requirements"
    return Rejected(
        f"{image} is rejected by {place}: {reasons}",
        hint=_hint(cause, verdict, shlex.quote(image)),
        details=_details(denied),
    )


def _details(denied: list[RequirementVerdict]) -> tuple[str, ...]:
    """Whose signature is wanted, and each one that is there."""
    lines: list[str] = []
    for requirement in denied:
        if requirement.keys:
            wanted = ", ".join(map(str, requirement.keys))
            lines.append(f"{requirement.kind} wants a signature of {wanted}")
        lines += [f"{one.source}: {one.reason}" for one in requirement.signatures]
    if len(lines) > _MAX_DETAILS:
        left_out = len(lines) - _MAX_DETAILS + 1
        lines[_MAX_DETAILS - 1 :] = [f"and {left_out} more lines"]
    return tuple(lines)


def _hint(cause: Cause, verdict: Verdict, image: str) -> str:
    """The command that helps, or the file."""
    match cause:
        case Cause.POLICY if verdict.docker_repository is not None:
            repository = shlex.quote(verdict.docker_repository)
            return f"say whom you trust: atomic trust add --pubkeysfile FILE {repository}"
        case Cause.POLICY:
            return (
                f"add a requirement to {verdict.source} that names whom you trust;"
                f" atomic trust show --effective {image} shows where"
            )
        case Cause.KEYS:
            return (
                f"repair the key file, or {verdict.source}; atomic trust lint shows what is wrong"
            )
        case Cause.UNSIGNED:
            return f"atomic trust show --effective {image} shows where signatures are looked up"
        case Cause.SIGNATURES:
            return f"atomic trust check {image} shows each signature and what is wrong with it"
        case Cause.UNSUPPORTED:
            return f"use signedBy with GPGKeys, or sigstoreSigned, in {verdict.source}"
        case _ as unreachable:
            assert_never(unreachable)
