"""The committed seeds of the fuzzer are what their script writes."""

from __future__ import annotations

from make_fuzz_seeds import CORPUS, MAX_SEED, all_seeds


def test_seeds_are_up_to_date() -> None:
    made = {
        f"{target}/{name}": data
        for target, seeds in all_seeds().items()
        for name, data in seeds.items()
    }
    kept = {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in CORPUS.glob("*/*")
        if path.is_file()
    }
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == []


def test_the_corpus_is_small() -> None:
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert max(sizes) <= MAX_SEED
    assert sum(sizes) < 1 << 20
