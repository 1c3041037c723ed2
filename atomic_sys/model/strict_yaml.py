# SPDX-License-Identifier: LGPL-2.1-or-later
"""YAML of plain values: what two readers could read differently, or none in time, is refused.

Refused are duplicate keys, which YAML says are an error and its readers let pass; anchors and
aliases, tags, and nesting that takes the reader quadratic time. Source: YAML 1.1.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from atomic_sys.errors import AtomicSysError

if TYPE_CHECKING:
    import yaml

DOCUMENT_LIMIT = 1 << 20  # bytes
_MAX_DEPTH = 16


class InvalidYaml(AtomicSysError):
    """A document that is not such YAML."""


def loads(document: bytes, what: str) -> object:
    """The value of the document, None for an empty one; `what` names it in the error.

    Raises InvalidYaml, with line and column where the reader knows them.
    """
    import yaml  # heavy, and few documents that are read are not empty

    if len(document) > DOCUMENT_LIMIT:
        raise InvalidYaml(f"{what} is larger than the limit of {DOCUMENT_LIMIT} bytes")
    try:
        text = document.decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise InvalidYaml(f"{what}: nested too deeply")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise InvalidYaml(f"{what}: anchors and aliases are not allowed")
            if getattr(event, "tag", None) is not None:
                raise InvalidYaml(f"{what}: tags are not allowed")
        _refuse_duplicates(yaml.compose(text, Loader=yaml.SafeLoader), what)
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = "; ".join(line.strip() for line in str(error).splitlines())
        raise InvalidYaml(f"{what}: invalid YAML: {reason}") from None
    except ValueError as error:  # not UTF-8, or no such date
        raise InvalidYaml(f"{what}: invalid YAML: {error}") from None
    return value


def as_mapping(value: object, what: str) -> Mapping[str, object]:
    """The value if it is a mapping whose keys are strings; nothing is an empty one.

    Raises InvalidYaml otherwise.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidYaml(f"{what} is not a mapping")
    for key in value:
        if not isinstance(key, str):
            raise InvalidYaml(f"{what}: the key {key!r} is not a string")
    return value


def _refuse_duplicates(node: "yaml.Node | None", what: str) -> None:
    """Raise InvalidYaml for a key that is twice in one mapping: YAML keeps the last."""
    import yaml  # as above

    match node:
        case yaml.MappingNode():
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise InvalidYaml(f"{what}: duplicate key {key.value!r}")
                seen.add(str(key.value))
                _refuse_duplicates(value, what)
        case yaml.SequenceNode():
            for item in node.value:
                _refuse_duplicates(item, what)
        case _:
            return
