# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic fsck` and `atomic images verify`: check the store, and repair what can be repaired."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from atomic_sys.engine.repair import Repair, Repairer, plan_repairs, refs_of
from atomic_sys.engine.report import Report
from atomic_sys.engine.sources import stored_source
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.reference import ImageName
from atomic_sys.store.fsck import FsckReport, fsck
from atomic_sys.store.outlines import Outlines
from atomic_sys.verbs.images import find_images
from atomic_sys.verbs.support import locate, make_judge

_SHOWN = 3  # objects named in one line; --json has all


@frozen
class StoreCheck:
    """The state of the store after everything that was asked for.

    `problems` has a line for each thing that is wrong; `failed` why an image could not be repaired.
    """

    report: FsckReport
    problems: tuple[str, ...]
    repaired: tuple[str, ...]
    failed: tuple[str, ...]
    deployments: int = 0  # how many were compared with the store


def check_store(
    host: Host, report: Report, advance: Callable[[int], None], *, repair: bool
) -> StoreCheck:
    """Check the whole store. Raises AtomicSysError, OSError."""
    found = _check(host, advance)
    repaired: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    if repair and not found.clean:
        outlined = Outlines(host.store).images()
        plans = tuple(plan_repairs(found, host.store.images(), outlined))
        repaired, failed = _repair(plans, host, report)
        found = _check(host, advance)
        host.store.discard(found.unreadable)  # a pull makes them anew, maybe by the same names
        if not found.broken:  # or what is below a damaged directory would look like one
            host.store.discard(found.strays)
            found = replace(found, damaged=frozenset(), objects=found.objects - len(found.strays))
    return StoreCheck(
        report=found, problems=tuple(_problems(found, None)), repaired=repaired, failed=failed
    )


def verify_images(
    texts: Sequence[str],
    host: Host,
    report: Report,
    advance: Callable[[int], None],
    *,
    repair: bool,
) -> StoreCheck:
    """Check these images. Raises NotFound, AtomicSysError, OSError."""
    chosen = {item.image.name: refs_of(item.image) for item in find_images(texts, host, force=True)}
    found = _check(host, advance)
    repaired: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    plans = [plan for plan in plan_repairs(found, host.store.images()) if plan.image.name in chosen]
    if repair and plans:
        repaired, failed = _repair(plans, host, report)
        found = _check(host, advance)
    return StoreCheck(
        report=found,
        problems=tuple(_problems(found, chosen)),
        repaired=repaired,
        failed=failed,
    )


def _check(host: Host, advance: Callable[[int], None]) -> FsckReport:
    with host.store.in_use():
        return fsck(host.store.repository, advance)


def _repair(
    plans: Sequence[Repair], host: Host, report: Report
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which images were repaired, and why others were not; one that fails stops no other."""
    repairer = Repairer(
        store=host.store,
        judge=make_judge(host),
        report=report,
        locate=lambda image: locate(host, stored_source(image)),
    )
    repaired: list[str] = []
    failed: list[str] = []
    for plan in plans:
        try:
            repairer.repair(plan)
        except (AtomicSysError, OSError) as error:
            failed.append(f"{plan.image.name}: {error}")
        else:
            repaired.append(str(plan.image.name))
    return tuple(repaired), tuple(failed)


def _problems(
    report: FsckReport, images: Mapping[ImageName, frozenset[str]] | None
) -> Iterator[str]:
    """A line for everything that is wrong; with `images`, only what their refs lead to."""
    wanted = None if images is None else frozenset().union(*images.values())
    for broken in report.broken:
        if wanted is None or broken.ref in wanted:
            first = ", ".join(sorted(map(str, broken.objects))[:_SHOWN])
            more = len(broken.objects) - _SHOWN
            tail = f" and {more} more" if more > 0 else ""
            yield f"{broken.ref}: {len(broken.objects)} objects damaged or missing: {first}{tail}"
    for name, ref in report.incomplete:
        if images is None or ImageName(name) in images:
            yield f"{name}: {ref} is not in the store"
    if images is None:
        for lone in sorted(map(str, report.strays)):
            yield f"damaged object {lone}, which nothing needs"
