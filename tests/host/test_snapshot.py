# SPDX-License-Identifier: LGPL-2.1-or-later
"""A snapshot sees every kind of change, and nothing where nothing happened."""

from collections.abc import Callable

from tests.host.host import Host
from tests.host.snapshot import difference, snapshot


def test_difference_names_each_kind_of_change() -> None:
    before = {"/a": "1", "/b": "1", "/c": "1", "/kept/x": "1"}
    after = {"/a": "1", "/b": "2", "/d": "1", "/kept": "1", "/kept-not": "1"}
    assert difference(before, after, kept=["/kept"]) == ("~ /b", "- /c", "+ /d", "+ /kept-not")


def test_an_idle_host_does_not_change_even_by_a_reboot(new_host: Callable[[str], Host]) -> None:
    host = new_host("idle")
    host.boot()
    before = snapshot(host)
    assert "/usr/bin/runc" in before and "/etc/systemd/system" in before
    assert difference(before, snapshot(host)) == ()
    host.reboot()
    assert difference(before, snapshot(host)) == ()


def test_changes_of_content_owner_mode_and_links_are_seen(host: Host) -> None:
    host.run([
        "sh",
        "-c",
        "mkdir /srv/d; cd /srv/d; echo 1 >content; touch owner mode; ln -s a link",
    ])
    before = snapshot(host)
    change = "echo 2 >content; chown 1 owner; chmod 600 mode; ln -sf b link; mkfifo new"
    host.run(["sh", "-c", f"cd /srv/d; {change}"])
    assert difference(before, snapshot(host)) == (
        "~ /srv/d/content", "~ /srv/d/link", "~ /srv/d/mode", "+ /srv/d/new", "~ /srv/d/owner",
    )  # fmt: skip
