# SPDX-License-Identifier: LGPL-2.1-or-later
"""skopeo of Debian 13, which judges sigstore's signatures: Debian 12 has that patched out.

It is fetched once, with the libraries that it needs, unpacked beside the base of the test hosts,
and run by its own loader: nothing is installed. gpg is that of this machine.
"""

import fcntl
import hashlib
import tempfile
from pathlib import Path

from tests.host.base import cache_directory, mirror, suite
from tests.host.process import HostError, run

SUITE = "trixie"
PACKAGES = ("skopeo", "libc6", "libgcc-s1", "libgpgme11t64", "libassuan9", "libgpg-error0",
            "libsqlite3-0")  # fmt: skip
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def newer_skopeo(cache: Path | None = None) -> tuple[str, ...]:
    """The start of its command line. Raises HostError where it cannot be had."""
    cache = cache or cache_directory()
    key = hashlib.sha256(repr((SUITE, PACKAGES)).encode()).hexdigest()[:16]
    tree = cache / f"skopeo-{SUITE}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "skopeo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here for the first one's tree
        if not tree.exists():
            _fetch(tree)
    (loader,) = (tree / "usr/lib").glob("**/ld-linux-*.so.*")
    libraries = tree.glob("usr/lib/*-linux-gnu")
    path = ":".join(map(str, libraries))
    return (str(loader), "--library-path", path, str(tree / "usr/bin/skopeo"))


def _fetch(tree: Path) -> None:
    """Make the tree, and name it when it is whole."""
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix="skopeo-") as scratch:
        top = Path(scratch)
        for directory in ("lists/partial", "cache", "debs", "tree"):
            (top / directory).mkdir(parents=True)
        source = f"deb [signed-by={KEYRING}] {mirror(suite())} {SUITE} main\n"
        (top / "sources.list").write_text(source)
        apt = ["apt-get", "-q", f"-oDir::Etc::SourceList={top}/sources.list",
               "-oDir::Etc::SourceParts=/dev/null", f"-oDir::State::Lists={top}/lists",
               f"-oDir::Cache={top}/cache", "-oDir::State::Status=/dev/null",
               "-oAPT::Sandbox::User=root"]  # fmt: skip
        run([*apt, "update"], timeout=300)
        run(["env", f"--chdir={top}/debs", *apt, "download", *PACKAGES], timeout=300)
        archives = sorted((top / "debs").glob("*.deb"))
        if len(archives) != len(PACKAGES):
            raise HostError(f"apt fetched {len(archives)} packages of {len(PACKAGES)}")
        for archive in archives:
            run(["dpkg-deb", "-x", archive, top / "tree"])
        (top / "tree").rename(tree)
