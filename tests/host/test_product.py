# SPDX-License-Identifier: LGPL-2.1-or-later
"""The product is in a host the way a package would have put it there."""

import os

from tests.host.host import Host
from tests.host.product import REPOSITORY, install_product, product_tree


def test_the_command_runs_with_the_hosts_own_python(host: Host) -> None:
    install_product(host)
    for command in ("/usr/bin/atomic", "/usr/bin/atomic-sys"):
        assert host.path(command).read_text().startswith("#!/usr/bin/python3\n")
        assert host.run([command, "--version"]).stdout.strip()
    where = host.run(["/usr/bin/python3", "-c", "import atomic_sys; print(atomic_sys.__file__)"])
    assert where.stdout == "/usr/lib/python3/dist-packages/atomic_sys/__init__.py\n"


def test_the_shipped_policy_is_there(host: Host) -> None:
    install_product(host)
    assert host.path("/usr/share/atomic-sys/policy/policy.json").is_file()


def test_nothing_of_the_building_machine_is_in_it() -> None:
    files = [path for path in product_tree().rglob("*") if path.is_file()]
    assert files
    traces = [os.fsencode(product_tree()), os.fsencode(REPOSITORY)]
    assert [path for path in files if any(trace in path.read_bytes() for trace in traces)] == []
