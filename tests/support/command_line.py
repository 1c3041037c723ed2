# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line as its own --help tells it, for whatever must say the same."""

import contextlib
import io
import re

from atomic_sys.cli.parser import VERBS, dispatch

_OPTION_LINE = re.compile(r"^  (-.+?)(?:  .*)?$", re.MULTILINE)
_OPTION = re.compile(r"(?:^|(?<=[ ,]))--?[a-z][a-z.-]*", re.IGNORECASE)

# The words of each verb; the empty ones are for the options before it.
COMMANDS = ("", *(verb.words for verb in VERBS if not verb.hidden))
HIDDEN = tuple(verb.words for verb in VERBS if verb.hidden)


def shown_options(words: str) -> frozenset[str]:
    """The short and long options that `atomic WORDS --help` shows."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        dispatch([*words.split(), "--help"])
    lines = _OPTION_LINE.findall(printed.getvalue())
    return frozenset(option for line in lines for option in _OPTION.findall(line))
