"""Statistics and differences of what lies together in a store: few requests, the same answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorbundle as tb
from http_store import Behaviour, Request, serve
from tensorbundle import _remote
from writer import Bundle, shard_path

SMALL = 3000
RUN = 2 << 20  # of `rust/store/src/neighbours.rs`
LARGE = 700 * 1000 * 4
ROOM = 64 << 10


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote, "DELAY", 0.01)


def some(folder: Path, name: str, *, seed: int, change: bool = False) -> None:
    """Two shards, in an order that is not that of the names; all kinds of tensors side by side."""
    rng = np.random.default_rng(7)
    values: dict[str, Any] = {}
    for i in range(SMALL):
        kind = (np.float32, np.int16, np.float64, np.uint8)[i % 4]
        values[f"small/{i:05d}"] = rng.integers(0, 100, (i % 7, 3)).astype(kind)
    values |= {f"large/{i}": rng.normal(size=(700, 1000)).astype(np.float32) for i in range(2)}
    values |= {f"parts/{i}": rng.normal(size=(400, 60)).astype(np.float32) for i in range(9)}
    values |= {f"words/{i}": np.array([b"a", b"bc" * i], object) for i in range(9)}
    if change:
        for each in list(values)[:: SMALL // 40]:
            if values[each].dtype != object and values[each].size:
                values[each].flat[-1] += 1
        values["large/1"][-1, -1] = np.nan
    order = list(values)
    random.Random(seed).shuffle(order)
    bundle = Bundle(shards=2)
    for i, each in enumerate(order):
        shard = int(i > len(order) // 3)
        if each.startswith("parts/"):
            slices = [[(at, 80), (0, 60)] for at in range(0, 400, 80)]
            bundle.add_sliced(each, values[each], slices, shards=[shard] * 5)
        else:
            bundle.add(each, values[each], shard=shard)
    bundle.write(folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("neighbours")
    some(folder, "a", seed=1)
    some(folder, "b", seed=1, change=True)
    some(folder, "other_order", seed=2, change=True)
    plain = Bundle()
    for i in range(500):
        plain.add(f"t{i:03d}", np.full(16, i, np.float32))
    plain.write(folder / "plain")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[Behaviour]:
    with serve(folder) as running:
        yield running


def data_requests(server: Behaviour) -> list[tuple[int, int]]:
    asked = [each.range for each in server.requests if ".data-" in each.path]
    return [each for each in asked if each is not None]


def rows(report: tb.StatsReport | tb.DiffReport) -> list[str]:
    """As text, in which floats are whole and NaNs are the same."""
    each = report.values() if isinstance(report, tb.StatsReport) else report
    return [repr(row.to_dict()) for row in each]


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("histogram", [0, 5])
def test_stats(server: Behaviour, folder: Path, verify: bool, histogram: int) -> None:
    remote = tb.open(f"{server.url}/a", verify=verify)
    list(remote)
    server.clear()
    got = remote.stats(histogram=histogram)
    assert rows(got) == rows(tb.open(folder / "a", verify=verify).stats(histogram=histogram))
    requests = data_requests(server)
    passes = 2 if histogram else 1
    assert len(requests) <= passes * 30
    assert verify or max(end - start for start, end in requests) <= RUN
    size = sum(file.stat().st_size for file in folder.glob("a.data-*"))
    # Checksums of large tensors are taken by themselves.
    assert server.sent() <= passes * size + (2 * LARGE if verify else 0) + ROOM


def test_some_of_them(server: Behaviour, folder: Path) -> None:
    remote, local = tb.open(f"{server.url}/a"), tb.open(folder / "a")
    list(remote)
    server.clear()
    assert rows(remote.stats("small/00*")) == rows(local.stats("small/00*"))
    assert len(data_requests(server)) <= 20
    server.clear()
    assert rows(remote.stats(["small/00001"])) == rows(local.stats(["small/00001"]))
    assert [end - start for start, end in data_requests(server)] == [3 * 2]


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("name", ["b", "other_order"])
def test_diff(server: Behaviour, folder: Path, name: str, verify: bool) -> None:
    local = [tb.open(folder / each, verify=verify) for each in ("a", name)]
    want = rows(tb.diff(*local))
    assert sum("'kind': 'changed'" in row for row in want) > 20
    remote = [tb.open(f"{server.url}/{each}", verify=verify) for each in ("a", name)]
    for each in remote:
        list(each)
    for pair, most in (
        ((remote[0], remote[1]), 130),
        ((remote[0], local[1]), 70),
        ((local[0], remote[1]), 70),
    ):
        server.clear()
        assert rows(tb.diff(*pair)) == want
        # Unless both are in a store, in different orders, neighbours are one request.
        if name == "b" or local[0] in pair or local[1] in pair:
            assert len(data_requests(server)) <= most


def test_renamed(server: Behaviour, folder: Path) -> None:
    remote = [tb.open(f"{server.url}/{each}") for each in ("a", "b")]
    local = [tb.open(folder / each) for each in ("a", "b")]

    def rename(name: str) -> str:
        return name.replace("small/0000", "small/9")

    assert rows(tb.diff(*remote, rename=rename)) == rows(tb.diff(*local, rename=rename))


def test_a_request_that_fails_is_about_its_tensor(server: Behaviour, folder: Path) -> None:
    """Though its neighbours were asked for with it."""
    ckpt = tb.open(f"{server.url}/plain")
    want = rows(ckpt.stats())
    bad = 321 * 64

    def refuse(request: Request, handler: Any) -> bool:
        if request.range is None or not request.range[0] <= bad < request.range[1]:
            return False
        handler.refuse(403)
        return True

    server.fault = refuse
    with pytest.raises(PermissionError, match="answers 403") as caught:
        ckpt.stats()
    assert caught.value.filename == ckpt.shard_paths()[0]
    assert data_requests(server)[-1] == (bad, bad + 64)
    with pytest.raises(PermissionError, match="answers 403"):
        tb.diff(ckpt, folder / "plain")
    assert rows(ckpt.stats(lambda name: name > "t321")) == want[322:]
    # The neighbours together are refused, each alone is not.
    server.fault = lambda request, handler: (
        request.range is not None
        and request.range[1] - request.range[0] > 64
        and (handler.refuse(403) or True)
    )
    assert rows(ckpt.stats()) == want


def test_a_checksum_that_is_wrong_is_of_its_tensor(server: Behaviour, folder: Path) -> None:
    shard = Path(shard_path(str(folder / "plain"), 0, 1))
    data = bytearray(shard.read_bytes())
    data[321 * 64 + 5] ^= 1
    server.contents[f"/{shard.name}"] = bytes(data)
    ckpt = tb.open(f"{server.url}/plain", verify=True)
    for work in (ckpt.stats, lambda: tb.diff(ckpt, folder / "plain")):
        with pytest.raises(tb.CorruptionError, match="checksum") as caught:
            work()
        assert caught.value.tensor == "t321"
        assert caught.value.offset == 321 * 64
        assert len(data_requests(server)) <= 4


def test_a_shard_that_was_cut_short(server: Behaviour, folder: Path) -> None:
    shard = Path(shard_path(str(folder / "plain"), 0, 1))
    server.contents[f"/{shard.name}"] = shard.read_bytes()[: 321 * 64 + 5]
    with pytest.raises(tb.CorruptionError, match="too short") as caught:
        tb.open(f"{server.url}/plain").stats()
    assert caught.value.tensor == "t321"


def test_a_shard_that_is_replaced_meanwhile(server: Behaviour, folder: Path) -> None:
    shard = Path(shard_path(str(folder / "plain"), 0, 1))
    ckpt = tb.open(f"{server.url}/plain")
    ckpt["t007"]
    server.contents[f"/{shard.name}"] = bytes(len(shard.read_bytes()))
    for work in (ckpt.stats, lambda: tb.diff(folder / "plain", ckpt)):
        with pytest.raises(
            tb.CorruptionError, match=r"replaced while it was read.*open the"
        ) as caught:
            work()
        assert caught.value.tensor == "t000"
