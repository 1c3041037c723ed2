# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simple signatures checked by gpg, whose word is taken only where it is unambiguous.

gpg exits with 0 for unsigned messages, revoked keys and expired ones. So: a home directory that
holds the keys of one requirement and nothing else, the shape of the message checked before
(trust.openpgp), gpg's status read from a file of its own that no text from the message can reach
by way of stdout or stderr, and one rule over all of its lines (gnupg's doc/DETAILS).
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.process import Command, Completed
from atomic_sys.trust.gpg_status import Status, judge_status, parse_status
from atomic_sys.trust.openpgp import MESSAGE_LIMIT, InvalidMessage, literal_content
from atomic_sys.trust.verifier import Keyring, Outcome, Refused, Signed, TrustedKey

_TIMEOUT = 30.0  # seconds for one run of gpg
_STATUS_LIMIT = 1 << 20  # bytes
_KEY_ID = 16  # hex digits at the end of a fingerprint (RFC 4880, 12.2)
_OPTIONS = (
    "--no-options",
    "--batch",
    "--no-tty",
    "--quiet",
    "--no-autostart",  # no agent: nothing here needs a secret key
    "--disable-dirmngr",
    "--no-auto-key-locate",
    "--no-auto-key-retrieve",
    "--trust-model=always",  # right only since the home holds no other keys
    f"--max-output={MESSAGE_LIMIT}",
)


@frozen
class GpgVerifier:
    """Verifier by the program `gpg`; homes are made below `scratch`, and removed in any case."""

    program: str = "gpg"
    scratch: str | None = None

    @contextlib.contextmanager
    def keyring(self, keys: tuple[bytes, ...]) -> Iterator[Keyring]:
        """Import the key files, binary or armored, for the length of the block.

        A file without usable public keys adds none. Raises AtomicSysError.
        """
        try:
            directory = tempfile.TemporaryDirectory(prefix="atomic-sys-gpg-", dir=self._scratch())
        except OSError as error:
            raise AtomicSysError(f"cannot make a directory for keys: {error.strerror}") from error
        with directory as home:
            found: dict[str, TrustedKey] = {}
            for key in keys:
                for one in _import(self.program, home, key):
                    found.setdefault(one.fingerprint, one)
            yield GpgKeyring(program=self.program, home=home, keys=tuple(found.values()))

    def verify(self, blob: bytes, keys: tuple[bytes, ...]) -> Outcome:
        """Judge one signature by the keys of these files. Raises AtomicSysError."""
        with self.keyring(keys) as keyring:
            return keyring.verify(blob)

    def _scratch(self) -> str | None:
        """Root's homes are in /run, which is never on a disk; None is the one of TMPDIR."""
        if self.scratch is None and os.access("/run", os.W_OK):
            return "/run"
        return self.scratch


@frozen
class GpgKeyring:
    """Keyring in a home directory of gpg."""

    program: str
    home: str
    keys: tuple[TrustedKey, ...]

    def verify(self, blob: bytes) -> Outcome:
        """Judge one signature. Raises CommandFailed when gpg cannot be run."""
        try:
            literal = literal_content(blob)
        except InvalidMessage as error:
            return Refused(str(error))
        done, status = _run(self.program, self.home, ("--decrypt",), blob)
        trusted = tuple(key.fingerprint for key in self.keys)
        outcome = judge_status(status, done.returncode, trusted)
        if isinstance(outcome, Refused):
            return outcome
        if done.stdout != literal:
            return Refused("gpg reads something else than what is signed")
        return Signed(content=literal, fingerprint=outcome.fingerprint, user=outcome.user)


def _import(program: str, home: str, key: bytes) -> Iterator[TrustedKey]:
    """Import one key file; the public keys that gpg took, by their primary fingerprints.

    The exit status is not asked: gpg fails for the secret half of a key, which is of no use here.
    """
    _, status = _run(program, home, ("--import",), key)
    owners: dict[str, str] = {}
    for line in status.lines:
        match line.keyword, line.arguments:
            case "IMPORTED", (key_id, *_):
                owners[key_id] = line.user()
            case "IMPORT_OK", (_, fingerprint, *_):
                owner = owners.get(fingerprint[-_KEY_ID:])
                yield TrustedKey(fingerprint=fingerprint.upper(), owner=owner)
            case _:
                continue


def _run(
    program: str, home: str, arguments: tuple[str, ...], stdin: bytes
) -> tuple[Completed, Status]:
    fd = os.memfd_create("gpg-status", os.MFD_CLOEXEC)
    try:
        argv = (program, f"--homedir={home}", *_OPTIONS, f"--status-fd={fd}", *arguments)
        done = Command(
            argv=argv,
            stdin=stdin,
            environment={"GNUPGHOME": home, "HOME": home},
            timeout=_TIMEOUT,
            pass_fds=(fd,),
        ).run()
        return done, parse_status(os.pread(fd, _STATUS_LIMIT + 1, 0), limit=_STATUS_LIMIT)
    finally:
        os.close(fd)
