"""Wrong outputs in binary formats: GeoPackage, FlatGeobuf and GeoParquet."""

from __future__ import annotations

import random

from targets import binary_outputs


def mutated(number: int) -> tuple[str, bytes]:
    """Suffix and bytes of the wrong file of a number; always the same."""
    rng = random.Random(number)
    suffix, seed = rng.choice(binary_outputs())
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        # Heads, tails and pages matter more than what lies between.
        reach = rng.choice((100, 1000, len(data)))
        place = rng.randrange(min(len(data), reach)) if rng.random() < 0.6 else -rng.randint(1, min(len(data), reach))
        match rng.randint(0, 4):
            case 0:
                data[place] ^= 1 << rng.randint(0, 7)
            case 1:
                data[place] = rng.choice((0, 1, 127, 128, 255))
            case 2:
                part = rng.randbytes(rng.randint(1, 8))
                start = place % len(data)
                data[start : start + len(part)] = part
            case 3:
                del data[place:]
                data += b"\0"
            case _:
                start = place % len(data)
                data[start:start] = data[start : start + rng.randint(1, 64)]
    return suffix, bytes(data)
