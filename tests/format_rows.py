"""The rows of the two tables of faults in FORMAT, each under a name of our own.

A test that builds a row's case carries `@pytest.mark.format_row(section, row)`;
`test_format_rows.py` holds the marks of the suite against this list.
"""

from __future__ import annotations

# FORMAT 10.3: what was put into checkpoints, in the order of the table.
FAULTS = (
    "shorter than a footer",
    "wrong magic or a trailing byte",
    "handles of the footer all FF",
    "index handle out of the file",
    "handle of 2^62 bytes",
    "handle of 2^64-3 bytes",
    "checksum of the index block",
    "checksum of the only data block",
    "checksum of a middle data block",
    "checksum of the first of several data blocks",
    "checksum of the metaindex block",
    "unknown block type",
    "Snappy that lies",
    "block without restarts or entries",
    "too many restarts or a block under 4 bytes",
    "a key shares more than there is",
    "lengths of an entry overflow 32 bits",
    "restart out of range",
    "keys out of order",
    "duplicate key",
    "no header",
    "empty header",
    "unparseable header",
    "unparseable entry",
    "versions that rule us out",
    "dtype 0 or unknown",
    "reference dtype",
    "resource with a matching size",
    "dimensions negative, too many or too large",
    "zero next to huge dimensions",
    "unknown rank",
    "2^45 floats",
    "size wrong or negative",
    "offset negative or past the end",
    "checksum of data wrong or absent",
    "data file missing",
    "strings: bad checksums",
    "string of 2^30 bytes",
    "string of 2^50 bytes",
    "2^33 strings",
    "slice entry missing",
    "slice listed twice",
    "gap or empty slice",
    "slice out of range",
    "extent with a start and no length",
    "slice entry of another dtype",
    "slice entry smaller than its slice",
    "slice entry larger than its slice",
    "slices of rank 9",
    "slices of half or strings",
    "V1: no table of contents",
    "V1: values missing, elsewhere, or too few",
    "V1: shapes and slices that lie",
)

# FORMAT 10.4: what was published, in the order of the table. Where the fault was in executing a
# graph, of which this package does nothing, the test shows what is left of it: the file opens, or
# is refused cleanly.
PUBLISHED = {
    "CVE-2018-7575": "reads",
    "CVE-2018-7577": "reads",
    "CVE-2021-41203": "reads",
    "CVE-2021-37639": "executes: Restore is an op; here its names are followed to variables",
    "CVE-2021-37648": "executes: SaveV2 is an op; here its names are followed to variables",
    "CVE-2020-15206": "reads",
    "CVE-2022-23571": "reads",
    "CVE-2022-23564": "reads",
    "CVE-2022-23570": "reads",
    "CVE-2022-23582": "reads",
    "CVE-2022-23565": "reads",
    "CVE-2022-23583 and its kin": "executes: types of attributes that kernels trust; here reads",
    "CVE-2022-23580": "executes: shapes inferred from a tensor's value; here the tensor is read",
    "CVE-2022-23591": "reads",
    "CVE-2022-23594": "reads",
    "issue 13256": "reads",
    "issues 39033, 6644, 61449": "reads",
    "faults of 10.3 that kill TensorFlow": "reads",
}

ROWS = {"10.3": FAULTS, "10.4": tuple(PUBLISHED)}
