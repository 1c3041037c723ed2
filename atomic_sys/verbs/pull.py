# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic pull IMAGE`."""

from atomic_sys.engine import pull as engine
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.report import Report
from atomic_sys.errors import doing
from atomic_sys.host import Host
from atomic_sys.verbs.sourcing import locate, make_judge, parse_image


def pull(image: str, host: Host, report: Report) -> Pulled:
    """Bring the image into the store, unless it is there already. Raises AtomicSysError."""
    with doing(f"pulling {image}"):
        at = locate(host, parse_image(image))
        return engine.pull(at, host.platform, host.store, make_judge(host), report)
