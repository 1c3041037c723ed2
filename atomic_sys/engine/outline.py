# SPDX-License-Identifier: LGPL-2.1-or-later
"""Learn what an image's files must be, without keeping them: for a root file system elsewhere.

The layers are streamed and verified as by a pull, and nothing of them stays but names and
checksums. What is beside the files, on a server that others may write to, is never asked.
"""

from atomic_sys.engine.judge import Judge
from atomic_sys.engine.pull import (
    ImageAt,
    Pulled,
    accept,
    fetch_config,
    stored_image,
    wanted_layers,
)
from atomic_sys.engine.report import Report
from atomic_sys.model import image_config
from atomic_sys.model.platform import Platform
from atomic_sys.store.outlines import Outlines
from atomic_sys.store.store import Store


def outline(at: ImageAt, platform: Platform, store: Store, judge: Judge, report: Report) -> Pulled:
    """Bring the image's outline into the store; one that is there whole will do.

    Raises as pull() does.
    """
    outlines = Outlines(store)
    with store.in_use():
        accepted = accept(at, platform, judge)
        found = stored_image(accepted, store) or outlines.image(accepted.resolved.raw.digest)
        if found is not None and store.signatures(found) == accepted.signatures:
            return Pulled(image=found, verdict=accepted.verdict, changed=False)
        # Here since most of it is for layers, and there may be none to fetch.
        from atomic_sys.engine.layers import import_layers

        config = fetch_config(at.origin, accepted.resolved.manifest.config)
        wanted = wanted_layers(accepted, image_config.parse(config), outlines.has_layer)
        import_layers(wanted, at.origin, outlines, report)
        image = outlines.put(accepted.to_store(config))
    return Pulled(image=image, verdict=accepted.verdict, changed=True)
