# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is rendered for a request, to look into."""

import json
from typing import Any

from atomic_sys.model.image_config import ImageConfig
from atomic_sys.render.render import RenderRequest, render

SHELL = ImageConfig(diff_ids=(), command=("/bin/sh",))


def config_of(wanted: RenderRequest) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(render(wanted).config)
    return body


def unit_of(wanted: RenderRequest) -> str:
    text = render(wanted).unit
    assert text is not None
    return text
