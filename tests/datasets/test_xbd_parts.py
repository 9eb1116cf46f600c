from __future__ import annotations

import pytest

from rsccli.datasets.xbd.parts import parts_of
from rsccli.errors import InputError


def test_the_four_parts_of_rscc() -> None:
    parts = parts_of(1024, 1024)
    assert [(part.id, tuple(part.px_window)) for part in parts] == [
        ("part1", (0, 0, 512, 512)),
        ("part2", (512, 0, 512, 512)),
        ("part3", (0, 512, 512, 512)),
        ("part4", (512, 512, 512, 512)),
    ]


def test_other_multiples_are_numbered_row_by_row() -> None:
    assert [(part.id, tuple(part.px_window)[:2]) for part in parts_of(1536, 1024)] == [
        ("part1", (0, 0)),
        ("part2", (512, 0)),
        ("part3", (1024, 0)),
        ("part4", (0, 512)),
        ("part5", (512, 512)),
        ("part6", (1024, 512)),
    ]
    assert [part.id for part in parts_of(512, 512)] == ["part1"]


@pytest.mark.parametrize("size", [(1000, 1024), (1024, 1000), (256, 256), (0, 0), (1025, 1024)])
def test_other_sizes_are_refused_with_the_size(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"{size[0]}x{size[1]} pixels"):
        parts_of(*size)
