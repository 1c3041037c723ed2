# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main story on a screen: `python -m tests.host.demo`, or `make demo`. Needs root on Debian.

Promised: every step is shown as the command a person would type, with its output; nothing is
asked; the exit status is 1 when any step does not turn out as it should; nothing stays behind.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

from tests.host import scenario
from tests.host.chart import Start, chart
from tests.host.host import Host
from tests.host.process import HostError
from tests.host.registry import Registry
from tests.host.scenario import Story
from tests.host.signing import vendor
from tests.host.snapshot import snapshot


def say(text: str) -> None:
    """Says it at once: who watches a demo through a pipe must not wait for a full buffer."""
    print(text, flush=True)


def heading(text: str) -> None:
    """Sets a step apart."""
    say(f"\n# {text}")


def expect(what: str, *, holds: bool) -> None:
    """Says that `what` holds; raises HostError when it does not."""
    if not holds:
        raise HostError(f"not so: {what}")
    say(f"# ok: {what}")


def show_order(starts: tuple[Start, ...]) -> None:
    """The chart of the starts, and whether each was up before the next one began."""
    say(chart(starts))
    for first, second in itertools.pairwise(starts):
        expect(f"{first.unit} is up before {second.unit} begins",
               holds=first.active < second.begun)  # fmt: skip


def tell(story: Story) -> None:
    """The story from the registry to the last leftover."""
    heading("The vendor pushes the images and signs three; the host trusts that key alone")
    scenario.prepare(story)
    untouched = snapshot(story.host)
    heading("Install: pulled, judged, checked out, enabled, not started")
    scenario.install_chain(story)
    heading("Start docker: what it needs comes up first")
    scenario.start_chain(story)
    show_order(scenario.start_times(story))
    heading("Who signed what runs here")
    signed_by = scenario.signers(story)
    for name, signer in signed_by.items():
        expect(f"{name} is signed by {story.signer.name}",
               holds=story.signer.fingerprint in signer)  # fmt: skip
    heading("They work")
    expect("etcd answers", holds="is healthy" in scenario.ask_etcd(story)["health"])
    expect("docker runs containers", holds="hello" in scenario.run_in_docker(story))
    heading("Reboot: nothing is typed, the order is the same")
    show_order(scenario.reboot(story))
    heading("An image that nobody signed")
    refusal = scenario.refuse_unsigned(story)
    expect("it is refused and leaves nothing", holds=refusal.changes == ())
    heading("Uninstall: state and images stay by contract, nothing else")
    leftovers = scenario.uninstall_chain(story, untouched)
    for change in leftovers.changes:
        say(change)
    expect("no file, link or unit is left behind",
           holds=not (leftovers.changes or leftovers.units or leftovers.failed))  # fmt: skip


def main() -> int:
    """Runs the demo; returns the exit status."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="images-") as scratch, vendor() as signer:
            heading("Build the images")
            layouts = scenario.build_images(Path(scratch), say)
            heading("Boot a host")
            with Host("demo") as host:
                host.boot()
                registry = Registry(host=host)
                story = Story(host=host, registry=registry, signer=signer, layouts=layouts, say=say)
                story.type("systemd-analyze time")
                tell(story)
    except HostError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    say(f"\n# done in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
