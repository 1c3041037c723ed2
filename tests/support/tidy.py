# SPDX-License-Identifier: LGPL-2.1-or-later
"""Made-up images, written as the tools write them that make real ones.

What umoci 0.4.7 makes of other archives is known, and no judgement on us:
- It takes entries as they come: a hard link before its target, or to a file that the same layer
  takes away or the link itself replaces, is an error, and a whiteout behind a directory of the same
  layer leaves that one its owner and mode. To us the order of a layer means little.
- It makes no directory for a whiteout in a directory that no layer has; containerd does.
- A missing parent directory whose name is a file, or a link to nothing, is an error, or made where
  the link leads to; we put a directory in its place.
- Attributes that the kernel refuses (`user.` ones of links, say) are errors; we leave them out.
"""

from dataclasses import replace

from tests.support import generated, reference
from tests.support.generated import Member, Names

_KEPT = ("security.capability", "user.")


def tidy(image: list[list[Member]]) -> list[list[Member]] | None:
    """The same image: each name once, parents and whiteouts first, links last.

    None for one that is refused, or means two things, or that OSTree cannot store.
    """
    if not all(member.is_storable for members in image for member in members):
        return None
    done: list[list[Member]] = []
    try:
        for members in image:
            done.append(_tidy(members))
            tree = reference.extract([generated.tar(layer) for layer in done])
            links = [m for m in members if m.kind == "hard link" and _is_linkable(m, tree)]
            names = {member.path for member in done[-1]}
            done[-1] += {m.path: m for m in links if m.path not in names}.values()
            done[-1] = _with_parents(done[-1])
            reference.extract([generated.tar(layer) for layer in done])
    except (reference.Refused, reference.Ambiguous):
        return None
    return done


def _tidy(members: list[Member]) -> list[Member]:
    last = {member.path: _plain(member) for member in members if member.kind != "hard link"}
    return _with_parents(list(last.values()))


def _plain(member: Member) -> Member:
    """Without what Linux would not let it have."""
    able = member.kind in ("file", "directory")
    return replace(
        member,
        xattrs={k: v for k, v in member.xattrs.items() if able and v and k.startswith(_KEPT)},
    )


def _with_parents(members: list[Member]) -> list[Member]:
    """With an entry for each directory, in order."""
    stated = {member.path for member in members}
    parents = {m.path[:depth] for m in members for depth in range(1, len(m.path))} - stated
    directories = [Member(kind="directory", path=path, mode=0o755) for path in parents]
    return sorted([*members, *directories], key=_order)


def _order(member: Member) -> tuple[bool, list[tuple[bool, bytes]]]:
    hidden = member.kind in ("whiteout", "opaque")
    last = len(member.path) - 1
    names = [(at < last or not hidden, name) for at, name in enumerate(member.path)]
    return member.kind == "hard link", names


def _is_linkable(link: Member, tree: reference.Tree) -> bool:
    """Whether the target is there, and stays there when the link's own name is made free."""
    path: Names = reference.parse(link.target)
    there = path in tree and tree[path].kind in ("file", "symlink")
    return there and not reference.is_below(path, link.path)
