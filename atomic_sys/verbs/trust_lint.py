# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust lint`: what is wrong with a policy that could as well be right. Reads only."""

from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.trust.files import find_policy
from atomic_sys.trust.lint import Finding, Place, Severity, lint
from atomic_sys.trust.lookaside import InvalidLookaside, LookasideConfig
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.verbs.trust_show import places


@frozen
class Linted:
    """A policy and what is wrong with it."""

    policy: str
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether something is more than worth a look."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def lint_policy(file: str | None, host: Host) -> Linted:
    """Examine today's policy, or another one. Raises AtomicSysError when there is none to read."""
    path, document = find_policy(host.policy_paths if file is None else (file,))
    findings: list[Finding] = []
    try:
        lookaside = host.lookaside
    except InvalidLookaside as error:
        findings.append(_invalid("invalid-registries.d", host.registries_d, error))
        lookaside = LookasideConfig(docker={})
    try:
        policy = parse(document, path)
    except InvalidPolicy as error:
        findings.append(_invalid("invalid-policy", path, error))
    else:
        findings += lint(
            Place(
                transport=transport,
                scope=scope,
                demands=demands,
                policy=policy,
                lookaside=lookaside,
            )
            for transport, scope, demands in places(policy, host)
        )
    return Linted(policy=path, findings=tuple(findings))


def _invalid(rule: str, place: str, error: Exception) -> Finding:
    message = str(error).removeprefix(f"{place}: ")
    return Finding(rule=rule, severity=Severity.ERROR, place=place, message=message)
