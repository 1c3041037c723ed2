# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# bash-completion looks for a file of the command's name.
source "${BASH_SOURCE[0]%-sys.bash}.bash"
