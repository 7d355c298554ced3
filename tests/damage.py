"""Damaged versions of files."""

import numpy as np


def damage(raw: bytes, seed: int, count: int):
    """Yield `count` pairs (name of the damage, damaged bytes); the same for the same seed.

    The kinds of damage alternate: truncation, flipped bits, a run of zeros, a repeated or a missing
    piece, random bytes, a huge integer of 4 or 8 bytes, and text instead of the file.
    """
    rng = np.random.default_rng(seed)
    kinds = {
        "cut": lambda old, length: b"",
        "flip": lambda old, length: bytes(byte ^ (1 << int(rng.integers(8))) for byte in old),
        "zero": lambda old, length: bytes(len(old)),
        "repeat": lambda old, length: old * 4,
        "drop": lambda old, length: b"",
        "noise": lambda old, length: rng.bytes(length),
        "huge": lambda old, length: b"\xff" * (3 if length % 2 else 7) + b"\x7f",
    }
    names = [*kinds, "foreign"]
    for number in range(count):
        name = names[number % len(names)]
        # Half of the damages are in the first bytes, because headers determine how files are read.
        reach = len(raw) if number // len(names) % 2 else min(len(raw), 512)
        start, length = int(rng.integers(max(reach, 1))), int(rng.integers(1, 64))
        if name == "foreign":
            yield "foreign", b"<!doctype html><title>404 Not Found</title>\n" * length
            continue
        end = {"cut": len(raw), "huge": start + (4 if length % 2 else 8)}.get(name, start + length)
        yield f"{name} at {start}", raw[:start] + kinds[name](raw[start:end], length) + raw[end:]
