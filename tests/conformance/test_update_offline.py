# SPDX-License-Identifier: LGPL-2.1-or-later
"""Update and rollback by the whole command on a root directory, also killed at any system call."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode
from tests.conformance.offline import CHECKOUTS, Atomic, seen
from tests.support import images

pytestmark = pytest.mark.conformance
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]),
               "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
NEW = images.EXPORTS | {
    "service.template": images.SERVICE.replace(b"[Service]\n", b"[Service]\nRestart=always\n"),
    "hostfs/etc/hello.conf": b"salutation=$GREETING\n",
    "hostfs/etc/more.conf": b"more\n",
}
del NEW["hostfs/usr/local/bin/hello"]


def publish(tmp_path: Path, files: Mapping[str, bytes] = images.EXPORTS) -> str:
    """The image in its layout, in place of the one that was there; its argument."""
    shutil.rmtree(tmp_path / "hello", ignore_errors=True)
    return f"oci:{images.layout(tmp_path / 'hello', images.members(files))}"


def on_host(root: Path) -> dict[str, object]:
    """What the container has outside of its deployments."""
    return {
        path: what
        for path, what in seen(root).items()
        if not path.startswith(CHECKOUTS) or path == f"{CHECKOUTS}/hello"
    }


def deployed(root: Path) -> str:
    return os.readlink(root / CHECKOUTS / "hello").rpartition("/")[2]


def test_the_same_again_changes_nothing(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    assert atomic("install", publish(tmp_path), "--set=GREETING=a")[0] == 0
    before = seen(root)
    for words in ((), ("--no-pull",), ("--set", "GREETING=a"), ("--rebase", publish(tmp_path))):
        done = atomic("containers", "update", "hello", *words)
        assert done == (0, "Latest version already installed.\n", "")
    assert seen(root) == before


def test_a_new_image_and_the_way_back(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    assert atomic("install", publish(tmp_path), "--set=GREETING=mine")[0] == 0
    old = on_host(root)
    uuid = json.loads((root / CHECKOUTS / "hello.0/info").read_text())["values"]["UUID"]
    publish(tmp_path, NEW)
    code, out, err = atomic("containers", "update", "hello", "--dry-run")
    assert (code, err) == (0, "")
    assert "+Restart=always" in out
    assert "-greeting=mine" in out
    assert "+salutation=mine" in out
    assert on_host(root) == old
    code, out, err = atomic("containers", "update", "hello")
    assert (code, err.partition(" sha256")[0]) == (0, "hello is updated to")
    assert f"Extracting to /{CHECKOUTS}/hello.1" in out
    assert deployed(root) == "hello.1"
    assert (root / "etc/hello.conf").read_text() == "salutation=mine\n"
    assert (root / "etc/more.conf").read_text() == "more\n"
    assert not (root / "usr/local/bin/hello").exists()
    assert b"Restart=always" in (root / "etc/systemd/system/hello.service").read_bytes()
    record = json.loads((root / CHECKOUTS / "hello.1/info").read_text())
    assert (record["values"]["UUID"], record["user-values"]) == (uuid, {"GREETING": "mine"})
    new = on_host(root)

    code, out, err = atomic("containers", "rollback", "hello")
    said = f"Rolling back container hello to the checkout at /{CHECKOUTS}/hello.0\n"
    assert (code, out[: len(said)], err) == (0, said, "")
    assert on_host(root) == old
    listed = json.loads(atomic("containers", "deployments", "hello", "--json")[1])
    assert [(d["number"], d["current"], d["previous"]) for d in listed] == [
        (0, True, False), (1, False, True),
    ]  # fmt: skip
    assert atomic("containers", "rollback", "hello", "--to=1")[0] == 0
    assert on_host(root) == new
    assert atomic("containers", "rollback", "hello", "--to=7")[0] == ExitCode.NOT_FOUND
    assert atomic("containers", "rollback", "hello", "--to=1")[0] == ExitCode.FAILED
    assert "*   1" in atomic("containers", "deployments", "hello")[1]
    assert atomic("uninstall", "hello")[0] == 0
    assert not list((root / CHECKOUTS).glob("[a-z]*"))


def test_values_come_and_go(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    assert atomic("install", publish(tmp_path))[0] == 0
    assert atomic("containers", "update", "hello", "--set", "GREETING=x")[0] == 0
    assert (root / "etc/hello.conf").read_text() == "greeting=x\n"
    assert atomic("containers", "update", "hello", "--unset", "GREETING")[0] == 0
    assert (root / "etc/hello.conf").read_text() == "greeting=hi\n"
    # Two are kept, and the number of the third is free again.
    assert sorted(path.name for path in (root / CHECKOUTS).glob("hello.*")) == [
        "hello.1", "hello.2",
    ]  # fmt: skip
    before = seen(root)
    assert atomic("containers", "update", "hello", "--unset", "GREETING")[0] == ExitCode.USAGE
    assert atomic("containers", "update", "hello", "--set", "GRETING=x")[0] == ExitCode.USAGE
    assert seen(root) == before


def test_the_same_image_under_another_name_is_followed(
    root: Path, tmp_path: Path, atomic: Atomic
) -> None:
    assert atomic("install", publish(tmp_path))[0] == 0
    info = root / CHECKOUTS / "hello.0/info"
    mode = info.stat().st_mode
    shutil.copytree(tmp_path / "hello", tmp_path / "other")
    other = f"oci:{tmp_path / 'other'}"
    done = atomic("containers", "update", "hello", "--rebase", other)
    assert done == (0, "Latest version already installed.\n", "") or "Pulling" in done[1]
    record = json.loads(info.read_text())
    assert (record["image"], record["source"].startswith(other)) == (other, True)
    assert info.stat().st_mode == mode


def test_a_changed_host_file_stays(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    assert atomic("install", publish(tmp_path))[0] == 0
    (root / "etc/hello.conf").write_text("my own")
    publish(tmp_path, NEW)
    code, _, err = atomic("containers", "update", "hello")
    assert code == 0
    assert "/etc/hello.conf was changed and stays; the new default is /etc/hello.conf.atom" in err
    assert (root / "etc/hello.conf").read_text() == "my own"
    assert (root / "etc/hello.conf.atomic-new").read_text() == "salutation=hi\n"
    assert atomic("uninstall", "hello")[0] == 0
    assert (root / "etc/hello.conf").read_text() == "my own"
    assert not (root / "etc/hello.conf.atomic-new").exists()


def test_data_that_cannot_be_read_is_not_risked(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    def image(reads: list[int], writes: int) -> None:
        version = {"dataVersion": {"reads": reads, "writes": writes},
                   "defaultValues": {"GREETING": "hi"}}  # fmt: skip
        publish(tmp_path, images.EXPORTS | {"manifest.json": json.dumps(version).encode()})

    image([1], 1)
    assert atomic("install", f"oci:{tmp_path}/hello")[0] == 0
    image([2, 3], 3)
    before = seen(root)
    assert "cannot read the data" in atomic("containers", "update", "hello")[2]
    assert seen(root) == before
    image([1, 2], 2)
    assert atomic("containers", "update", "hello")[0] == 0
    code, _, err = atomic("containers", "rollback", "hello")
    assert (code, "cannot read the data" in err) == (ExitCode.FAILED, True)


def test_what_is_held_stays(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    assert atomic("install", publish(tmp_path))[0] == 0
    assert atomic("containers", "hold", "hello") == (0, "", "hello is held\n")
    publish(tmp_path, NEW)
    before = seen(root)
    assert atomic("containers", "update", "hello")[0] == ExitCode.FAILED
    code, out, err = atomic("containers", "update", "--all")
    assert (code, err) == (0, "warning: hello: it is held\n")
    assert out.splitlines()[0] == "SUMMARY"
    assert out.splitlines()[2].endswith("Not updated")
    assert seen(root) == before
    (listed,) = json.loads(atomic("containers", "list", "-a", "--json")[1])
    assert listed["held"] is True
    assert atomic("containers", "unhold", "hello")[0] == 0
    (result,) = json.loads(atomic("containers", "update", "--all", "--json")[1])
    assert (result["status"], result["changed"]) == ("Updated now", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Too few arguments."),
        (("-a", "hello"), "--all doesn't support a container name"),
        (("-a", "--set=A=b"), "--all doesn't support --set"),
        (("a", "b", "--rebase=c"), "--rebase is for one container"),
        (("--settle", "-1", "a"), "invalid seconds value"),
    ],
)
def test_usage(words: tuple[str, ...], message: str, atomic: Atomic) -> None:
    code, out, err = atomic("containers", "update", *words)
    assert (code, out, message in err) == (ExitCode.USAGE, "", True)


# strace counts each call for itself; what changes a file system, and every how manieth dies.
CALLS = {"fsync": 19, "/^rename": 7, "/^mkdir": 9, "/^unlink": 11, "/^symlink": 1, "/^link": 17,
         "rmdir": 3, "syncfs": 2}  # fmt: skip
STORIES = {
    "install": "install {image} --no-enable",
    "update": "containers update hello",
    "rollback": "containers rollback hello",
    "uninstall": "uninstall hello",
}


def before_story(story: str, tmp_path: Path, atomic: Atomic) -> None:
    atomic("install", publish(tmp_path))
    if story == "install":
        atomic("uninstall", "hello")
    elif story != "uninstall":
        publish(tmp_path, NEW)
        if story == "rollback":
            atomic("containers", "update", "hello")


def killed(root: Path, call: str, number: int, words: list[str]) -> bool:
    """Run the command until its nth call of this kind kills it; whether it came so far."""
    argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}",
            "-e", f"inject={call}:signal=SIGKILL:when={number}",
            sys.executable, "-m", "atomic_sys", "--root", str(root), *words]  # fmt: skip
    done = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return done.returncode in (-9, 137)


@pytest.mark.parametrize("story", STORIES)
def test_killed_anywhere_it_is_as_before_or_as_wanted(
    story: str, root: Path, tmp_path: Path, atomic: Atomic
) -> None:
    words = STORIES[story].format(image=f"oci:{tmp_path}/hello").split()
    before_story(story, tmp_path, atomic)
    template = tmp_path / "template"
    shutil.copytree(root, template, symlinks=True)
    old = on_host(root)
    assert atomic(*words)[0] == 0
    new = on_host(root)
    deaths = 0
    finer = 3 if story == "uninstall" else 1  # it makes few calls
    for call, step in CALLS.items():
        for number in itertools.count(1, max(1, step // finer)):
            shutil.rmtree(root)
            shutil.copytree(template, root, symlinks=True)
            if not killed(root, call, number, words):
                break
            where = f"{call} {number}"
            deaths += 1
            assert atomic("containers", "recover")[0] == 0, where
            assert on_host(root) in (old, new), where
            assert list((root / CHECKOUTS / ".journal").glob("*")) == [], where
            if on_host(root) == old:
                assert atomic(*words)[0] == 0, where
                assert on_host(root) == new, where
    assert deaths > 5
