"""HighwayHash with 64 bits, as Riegeli files have it. Slow: keep what is hashed small."""

from __future__ import annotations

import struct

MASK = (1 << 64) - 1
HALF = (1 << 32) - 1
KEY = struct.unpack("<4Q", b"Riegeli/records\n" * 2)
MUL_0 = (0xDBE6D5D5FE4CCE2F, 0xA4093822299F31D0, 0x13198A2E03707344, 0x243F6A8885A308D3)
MUL_1 = (0x3BD39E10CB0EF593, 0xC0ACF169B5F18A8C, 0xBE5466CF34E90C6C, 0x452821E638D01377)
# Where the bytes of two neighbouring words go, of 16: eight to the first word, eight to the second.
ZIPPER = (3, 12, 2, 5, 14, 1, 15, 0, 11, 4, 10, 13, 9, 6, 8, 7)


def _turned(word: int) -> int:
    return word >> 32 | (word & HALF) << 32


def _zipped(words: list[int]) -> list[int]:
    out: list[int] = []
    for pair in (words[:2], words[2:]):
        raw = struct.pack("<2Q", *pair)
        out += struct.unpack("<2Q", bytes(raw[place] for place in ZIPPER))
    return out


class _State:
    def __init__(self) -> None:
        self.mul0, self.mul1 = list(MUL_0), list(MUL_1)
        self.v0 = [m ^ k for m, k in zip(MUL_0, KEY, strict=True)]
        self.v1 = [m ^ _turned(k) for m, k in zip(MUL_1, KEY, strict=True)]

    def update(self, lanes: tuple[int, ...]) -> None:
        for i, lane in enumerate(lanes):
            self.v1[i] = (self.v1[i] + self.mul0[i] + lane) & MASK
            self.mul0[i] ^= (self.v1[i] & HALF) * (self.v0[i] >> 32)
            self.v0[i] = (self.v0[i] + self.mul1[i]) & MASK
            self.mul1[i] ^= (self.v0[i] & HALF) * (self.v1[i] >> 32)
        self.v0 = [(a + b) & MASK for a, b in zip(self.v0, _zipped(self.v1), strict=True)]
        self.v1 = [(a + b) & MASK for a, b in zip(self.v1, _zipped(self.v0), strict=True)]

    def rest(self, data: bytes) -> None:
        size = len(data)
        self.v0 = [(word + (size << 32) + size) & MASK for word in self.v0]
        halves = [word >> shift & HALF for word in self.v1 for shift in (0, 32)]
        halves = [(half << size | half >> (32 - size)) & HALF for half in halves]
        self.v1 = [low | high << 32 for low, high in zip(halves[::2], halves[1::2], strict=True)]
        packet = bytearray(32)
        whole, over = size & ~3, size & 3
        packet[:whole] = data[:whole]
        if size & 16:
            packet[28:] = data[-4:]
        elif over:
            last = data[whole:]
            packet[16:19] = bytes((last[0], last[over >> 1], last[over - 1]))
        self.update(struct.unpack("<4Q", packet))


def hash64(data: bytes) -> int:
    state = _State()
    whole = len(data) & ~31
    for lanes in struct.iter_unpack("<4Q", data[:whole]):
        state.update(lanes)
    if data[whole:]:
        state.rest(data[whole:])
    for _ in range(4):
        first, second, third, fourth = map(_turned, state.v0)
        state.update((third, fourth, first, second))
    return (state.v0[0] + state.v1[0] + state.mul0[0] + state.mul1[0]) & MASK
