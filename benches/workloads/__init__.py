"""One module per workload, registered here in the order they run."""

from __future__ import annotations

from workload import Workload
from workloads import (
    big,
    diff,
    engines,
    imports,
    many,
    meta,
    objects,
    remote,
    sliced,
    stats,
    v1,
    verify,
    zoo,
)

# `import` runs first: nothing else has filled this process yet.
WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        imports.WORKLOAD,
        many.WORKLOAD,
        big.WORKLOAD,
        sliced.WORKLOAD,
        meta.WORKLOAD,
        v1.WORKLOAD,
        objects.WORKLOAD,
        verify.WORKLOAD,
        stats.WORKLOAD,
        diff.WORKLOAD,
        zoo.WORKLOAD,
        engines.WORKLOAD,
        remote.WORKLOAD,
    )
}
