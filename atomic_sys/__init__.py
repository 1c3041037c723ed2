# SPDX-License-Identifier: LGPL-2.1-or-later
"""System containers: OCI images installed as ordinary systemd services."""

__version__ = "2.0.0.dev0"
