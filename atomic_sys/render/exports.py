# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of an image's /exports, and which of them wins.

Source: the predecessor's image contract ("IMAGE CONTRACT (/exports)"); the contract, section 4.
"""

from collections.abc import Mapping
from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.render import settings
from atomic_sys.render.escape import Target
from atomic_sys.render.limits import TEMPLATE_LIMIT, TemplateError
from atomic_sys.render.settings import Settings
from atomic_sys.render.template import Syntax, Template, decode

CONFIG_LIMIT = 1 << 20  # bytes
# The files that are read, and the largest that each may be, in bytes.
LIMITS: Mapping[str, int] = {
    "config.json": CONFIG_LIMIT,
    "config.json.template": TEMPLATE_LIMIT,
    "config.json.j2": TEMPLATE_LIMIT,
    "service.template": TEMPLATE_LIMIT,
    "service.j2": TEMPLATE_LIMIT,
    "tmpfiles.template": TEMPLATE_LIMIT,
    "tmpfiles.j2": TEMPLATE_LIMIT,
    "manifest.json": TEMPLATE_LIMIT,
}


@frozen
class Exports:
    """What an image brings; None for each thing that it leaves to the defaults.

    A `config` of bytes is a config.json that is taken as it is.
    """

    config: bytes | Template | None = None
    service: Template | None = None
    tmpfiles: Template | None = None
    settings: Settings

    @classmethod
    def parse(cls, files: Mapping[str, bytes], image: str) -> Self:
        """Read the files of /exports, given by their names; names that are not known are ignored.

        A verbatim config.json wins over both templates, and Jinja wins over the legacy syntax.
        Raises TemplateError for a file that is too large or no text, settings.InvalidSettings.
        """
        for name, limit in LIMITS.items():
            if len(files.get(name, b"")) > limit:
                raise TemplateError(f"/exports/{name}: larger than the limit of {limit} bytes")
        manifest = files.get("manifest.json")
        return cls(
            config=files.get("config.json", _template(files, "config.json", Target.JSON)),
            service=_template(files, "service", Target.UNIT),
            tmpfiles=_template(files, "tmpfiles", Target.UNIT),
            settings=Settings() if manifest is None else settings.parse(manifest, image),
        )

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates that will be rendered."""
        found = (self.config, self.service, self.tmpfiles)
        return tuple(template for template in found if isinstance(template, Template))


def _template(files: Mapping[str, bytes], stem: str, target: Target) -> Template | None:
    for suffix, syntax in (("j2", Syntax.JINJA), ("template", Syntax.LEGACY)):
        name = f"{stem}.{suffix}"
        if name in files:
            text = decode(name, files[name])
            return Template(name=name, text=text, syntax=syntax, target=target)
    return None
