#!/bin/sh
# Mounts our union for the runners of suites that others wrote (`cargo xtask suites`):
#   HELPER LOWERS UPPER WORK MNT [EXTRA]
# LOWERS is a colon-separated list, topmost first; EXTRA further options, comma-separated, possibly empty.
# Returns 0 once MNT is mounted; `umount MNT` undoes it.
# Environment: LAYERCAKE (the program; default: from PATH), LAYERCAKE_OPTS (options for every mount),
# UNION_SOURCE (the source that /proc/self/mounts shows), LAYERCAKE_LOG (a file for what the server says).
set -eu
opts="lowerdir=$1,upperdir=$2,workdir=$3"
for more in "${UNION_SOURCE:+fsname=$UNION_SOURCE}" "${LAYERCAKE_OPTS:-}" "${5:-}"; do
    [ -z "$more" ] || opts="$opts,$more"
done
exec "${LAYERCAKE:-layercake}" union -o "$opts" "$4" </dev/null >/dev/null 2>>"${LAYERCAKE_LOG:-/dev/null}"
