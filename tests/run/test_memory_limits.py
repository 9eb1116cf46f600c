"""Too little memory costs time, not tiles: a batch that does not fit goes on in halves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from captioners import BrightnessCaptioner, BrightnessFactory, LimitedCaptioner, LimitedFactory
from rasters import make_raster
from tiny_bundle import write_tiny_bundle

from rsccli.errors import OutOfMemoryError
from rsccli.geo.pair import PairOptions
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.decoding.buffers import KeyValueBuffers
from rsccli.models.large.chat import Chat
from rsccli.models.large.family import U8, Picture, Reader
from rsccli.models.large.manifest import LargeManifest, LargeTokens
from rsccli.models.large.room import MOST_ROWS, TEXT_TOKENS, batch_bytes, rows_that_fit
from rsccli.models.manifest import DecoderSpec, FileEntry, SourceSpec
from rsccli.run.asked import AskedCaptioner, Asking
from rsccli.run.caption import CaptionJob, PreparedJob, prepare_job, run_caption
from rsccli.run.journal import journal_batch_size
from rsccli.run.loop import caption_tiles
from rsccli.run.pool import PooledCaptioner
from rsccli.types import Caption, TileContext, TilePair, TileRecord

ROOT = Path(__file__).resolve().parents[2]
LIMITED = f"{ROOT}/tests/captioners.py:LimitedFactory"
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
TILES = 12
GEOMETRY = PairOptions(tile_size=128, radiometry="none")


class Pair(NamedTuple):
    """Both dates; no two tiles change alike."""

    pre: str
    post: str

    def job(self, output: Path | None = None, **options: Any) -> CaptionJob:
        return CaptionJob(
            self.pre, self.post, output, **{"geometry": GEOMETRY, "model": LIMITED, "report": False, **options}
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Three rows of four tiles of green ground, every other one darker and the rest brighter."""
    folder = tmp_path_factory.mktemp("pair")
    ground = np.random.default_rng(0).integers(80, 120, (24, 32)).repeat(16, 0).repeat(16, 1)
    lifts = [(30 + tile) * (1 if tile % 2 else -1) for tile in range(TILES)]
    later = ground + np.array(lifts).reshape(3, 4).repeat(128, 0).repeat(128, 1)
    paths = []
    for name, grey in (("pre.tif", ground), ("post.tif", later)):
        values = np.stack([grey, grey + 12, grey - 6]).astype(np.uint8)
        paths.append(str(make_raster(folder / name, values=values, size=(512, 384))))
    return Pair(*paths)


@pytest.fixture(scope="module")
def prepared(pair: Pair) -> PreparedJob:
    """The pair with all of its tiles in one batch."""
    return prepare_job(pair.job(batch_size=TILES))


def records(prepared: PreparedJob, captioner: Any, batch_size: int = TILES) -> list[TileRecord]:
    return [each for batch in caption_tiles(prepared.pair, captioner, batch_size=batch_size) for each in batch.records]


def limited() -> LimitedCaptioner:
    return LimitedFactory().open(CaptionerOptions())


def sizes(log: Path) -> list[int]:
    """Tiles of each call, whether they fitted or not."""
    return [len(line.split(",")) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("fit", "calls"),
    [
        (12, [12]),
        (11, [12, 6, 6]),
        (5, [12, 6, 3, 3, 3, 3]),
        (2, [12, 6, 3, 2, 1, 2, 1, 2, 2, 2]),
    ],
)
def test_no_tile_is_lost_and_the_order_is_kept(
    prepared: PreparedJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fit: int, calls: list[int]
) -> None:
    whole = records(prepared, limited())
    assert len(whole) == TILES and len({each.caption for each in whole}) == TILES
    monkeypatch.setenv("LIMITED_TILES", str(fit))
    monkeypatch.setenv("BRIGHTNESS_LOG", str(tmp_path / "log"))
    assert records(prepared, limited()) == whole
    assert sizes(tmp_path / "log") == calls


@pytest.mark.parametrize("batch_size", [1, 5, 7])
def test_uneven_batches(prepared: PreparedJob, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    whole = records(prepared, limited(), batch_size)
    for fit in (1, 3, 4):
        monkeypatch.setenv("LIMITED_TILES", str(fit))
        assert records(prepared, limited(), batch_size) == whole


def test_through_a_pool_and_with_questions(prepared: PreparedJob, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = records(prepared, limited())
    monkeypatch.setenv("LIMITED_TILES", "2")
    pool = PooledCaptioner([limited(), limited()], 6)
    asked = AskedCaptioner(pool, Asking(TileContext(place="here")), None)
    assert records(prepared, asked) == whole
    asked.close()


def test_a_tile_that_does_not_fit_alone_costs_only_itself(
    prepared: PreparedJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = {each.tile_id: each for each in records(prepared, limited())}
    monkeypatch.setenv("LIMITED_NEVER", "r00001c00002")
    monkeypatch.setenv("BRIGHTNESS_LOG", str(tmp_path / "log"))
    found = {each.tile_id: each for each in records(prepared, limited())}
    assert list(found) == list(whole)
    bad = found.pop("r00001c00002")
    assert (bad.status, bad.caption, bad.change_score) == ("model_error", None, None)
    assert bad.reason == "not enough memory for 1 tiles, as the test asked"
    assert all(found[tile] == whole[tile] for tile in found)
    # Halves down to the tile; what follows goes on as before.
    assert sizes(tmp_path / "log") == [12, 6, 6, 3, 2, 1, 1, 1, 3]


def test_a_lack_of_memory_that_is_not_the_models_own(prepared: PreparedJob) -> None:
    """An array that cannot be made while a batch is put together: the same way out."""

    class Greedy(BrightnessCaptioner):
        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            if len(pairs) > 4 or pairs[0].tile.id == "r00000c00000":
                np.empty(2**60, np.uint8)
            return super().caption(pairs)

    whole = records(prepared, BrightnessFactory().open(CaptionerOptions()))
    first, *others = records(prepared, Greedy(BrightnessFactory().describe(CaptionerOptions())))
    assert first.status == "model_error" and first.reason and "allocate" in first.reason
    assert others == whole[1:]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_failed_batch_held_is_given_back_before_parts_of_it_are_tried(
    prepared: PreparedJob, workers: int
) -> None:
    """An error holds the frames that it came through, and with them all arrays of a batch that was too large."""
    left: list[int] = []
    held: list[weakref.ref[Any]] = []

    class Holding(BrightnessCaptioner):
        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            left.append(sum(each() is not None for each in held))
            if len(pairs) <= 2:
                return super().caption(pairs)
            batch = np.stack([pair.pre for pair in pairs])
            held.append(weakref.ref(batch))
            try:
                raise MemoryError(f"no room beside {batch.nbytes} bytes")
            except MemoryError as error:
                raise OutOfMemoryError("the batch is too large") from error

    info = BrightnessFactory().describe(CaptionerOptions())
    captioner = Holding(info) if workers == 1 else PooledCaptioner([Holding(info), Holding(info)], TILES)
    assert len(records(prepared, captioner)) == TILES
    assert len(held) >= 3 and not any(left)


def test_through_the_command(pair: Pair, tmp_path: Path) -> None:
    def caption(name: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        command = [sys.executable, "-m", "rsccli", "caption", *pair, "-o", str(tmp_path / name), "-m", LIMITED]
        command += ["--tile-size", "128", "--radiometry", "none"]
        done = subprocess.run(
            [*command, "--batch-size", "12", "--no-report"],
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        return done, json.loads((tmp_path / name).read_text())

    plain, whole = caption("whole.geojson")
    halved, same = caption("halved.geojson", LIMITED_TILES="3")
    assert (plain.returncode, halved.returncode) == (0, 0), halved.stderr
    assert same == whole
    assert "going on with 6 tiles at once" in halved.stderr and "going on" not in plain.stderr
    done, failed = caption("failed.geojson", LIMITED_NEVER="r00002c00000")
    assert done.returncode == 5 and "Traceback" not in done.stderr, done.stderr
    assert "1 of 12 tiles failed" in done.stderr
    properties = {each["id"]: each["properties"] for each in failed["features"]}
    bad = properties.pop("r00002c00000")
    assert bad["status"] == "model_error" and "not enough memory" in bad["reason"] and bad["caption"] is None
    expected = {each["id"]: each["properties"] for each in whole["features"]}
    assert all(each == expected[tile] for tile, each in properties.items()) and len(properties) == 11


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc how much address space is used")
def test_really_little_memory(pair: Pair, tmp_path: Path) -> None:
    """The lean decoder's keys and values do not fit into the address space; see ``little_memory.py``."""
    bundle = write_tiny_bundle(tmp_path / "bundle", "scripted")
    script = Path(__file__).with_name("little_memory.py")
    done = subprocess.run(
        [sys.executable, str(script), str(bundle), *pair],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["calls"][:2] == [[12, False], [6, False]], told["calls"]
    fitted = [size for size, fits in told["calls"] if fits]
    assert sum(fitted) == TILES and max(fitted) == 3
    assert "the decoder has not enough memory for a batch of 12: going on with 6 tiles at once" in done.stderr
    assert len(told["limited"]) == TILES
    for one, other in zip(told["limited"], told["plain"], strict=True):
        assert one.pop("logprob") == pytest.approx(other.pop("logprob"), abs=2e-4)
        assert one == other
    said = {each["caption"] for each in told["plain"]}
    assert said == {"The scene is greener now.", "The scene is burnt"}


def test_the_batch_size_is_what_the_model_says_that_fits(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for fits in (3, 7):
        monkeypatch.setenv("LIMITED_FITS", str(fits))
        assert prepare_job(pair.job(batch_size="auto")).batch_size == fits
    assert prepare_job(pair.job(batch_size=5)).batch_size == 5
    # Where nobody can say, it is what the model likes.
    monkeypatch.delenv("LIMITED_FITS")
    assert prepare_job(pair.job(batch_size="auto")).batch_size == 4
    assert prepare_job(pair.job(batch_size="auto", model=BRIGHTNESS)).batch_size == 4


def test_a_resumed_run_keeps_the_batch_size_that_it_began_with(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output, undisturbed = tmp_path / "out.geojson", tmp_path / "undisturbed.geojson"
    monkeypatch.setenv("LIMITED_FITS", "5")
    begun = prepare_job(pair.job(output, batch_size="auto"))
    run_caption(prepare_job(pair.job(undisturbed, batch_size="auto")))

    class CutError(Exception):
        """Ends a run after its first batch."""

    def cut(tiles: int, old: bool) -> None:
        raise CutError

    with pytest.raises(CutError):
        run_caption(begun, cut)
    journal = tmp_path / "out.geojson.journal"
    assert journal_batch_size(journal) == 5
    monkeypatch.setenv("LIMITED_FITS", "3")
    monkeypatch.setenv("BRIGHTNESS_LOG", str(tmp_path / "log"))
    again = prepare_job(pair.job(output, batch_size="auto"))
    assert again.batch_size == 5 and again.spec == begun.spec
    # Another output, or a fresh start, has no journal to go by.
    assert prepare_job(pair.job(tmp_path / "other.geojson", batch_size="auto")).batch_size == 3
    assert prepare_job(pair.job(output, batch_size="auto", resume=False, overwrite=True)).batch_size == 3
    run_caption(again)
    assert sizes(tmp_path / "log") == [5, 2], "the seven tiles that were left"
    assert output.read_bytes() == undisturbed.read_bytes() and not journal.exists()


def test_a_journal_that_tells_no_batch_size(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert journal_batch_size(path) is None
    for text in ("", "my notes\n", "[1]\n", '{"spec": 3}\n', '{"spec": {"model": {"batch_size": "many"}}}\n'):
        path.write_text(text)
        assert journal_batch_size(path) is None
    assert journal_batch_size(tmp_path) is None


class Patches(Reader):
    """Image tokens of a model that cuts an image into squares of 16 pixels."""

    inputs = ("pixels",)
    image_token = 9

    def picture(self, image: U8) -> Picture:
        rows, cols = image.shape[0] // 16, image.shape[1] // 16
        return Picture({"pixels": image}, {}, image.shape, (9,) * (rows * cols), (rows, cols))


class Mosaic(Patches):
    """The same, for a model that reads one image."""

    mosaic = True


def manifest(dtype: str = "fp32", size_bytes: int = 0) -> LargeManifest:
    return LargeManifest(
        family="patches",
        name="patches",
        version="1",
        source=SourceSpec("here", "1"),
        files=(FileEntry("decoder.onnx", "0" * 64, size_bytes),),
        dtype=dtype,
        opset=17,
        licence="MIT",
        training_data="None.",
        parity={},
        limits=(),
        decoder=DecoderSpec(layers=6, heads=2, head_dim=64, width=512, vocab=8000, dtype=dtype),
        axes=1,
        tokens=LargeTokens((2,), 0, 9, 128),
        chat=Chat("", "", "", False),
        prompt="naive",
        vision={},
    )


def test_tiles_at_once_are_reckoned_from_what_is_free() -> None:
    def takes(rows: int) -> int:
        return batch_bytes(manifest(), Patches(), 256, rows)

    assert [takes(rows) for rows in range(1, 70)] == sorted(takes(rows) for rows in range(1, 70))
    found = [rows_that_fit(manifest(), Patches(), 256, takes(rows) / 0.7 + 1) for rows in (1, 2, 7, 63, 64, 1000)]
    assert found == [1, 2, 7, 63, MOST_ROWS, MOST_ROWS]
    assert rows_that_fit(manifest(), Patches(), 256, 0) == 1
    # Weights are taken off first; what is left may be nothing.
    weighty = manifest(size_bytes=10**9)
    assert rows_that_fit(weighty, Patches(), 256, (takes(7) + 1.3e9) / 0.7 + 1) == 7
    assert rows_that_fit(weighty, Patches(), 256, takes(7) / 0.7) == 1


def test_a_long_prompt_is_not_reckoned_with_all_its_scores() -> None:
    # 32,768 image tokens and 8 heads: the scores of one row would take 34 GB twice.
    assert 2 * 8 * 32768**2 * 4 > 60e9
    assert batch_bytes(manifest(), Patches(), 2048, 1) < 3e9


def test_a_tile_takes_what_its_keys_and_values_take_at_least() -> None:
    for reader, dtype, side in ((Patches(), "fp32", 256), (Patches(), "bf16", 256), (Mosaic(), "fp16", 128)):
        spec = manifest(dtype).decoder
        # Two pictures, or one of twice the width: the same image tokens.
        length = 2 * (side // 16) ** 2 + TEXT_TOKENS + 128
        buffers = KeyValueBuffers(spec, dtype, "cpu", 0)
        buffers.reserve(3, length)
        assert buffers.bytes < batch_bytes(manifest(dtype), reader, side, 3) < 20 * buffers.bytes
    halves = [batch_bytes(manifest(dtype), Patches(), 256, 2) for dtype in ("fp16", "fp32")]
    assert halves[0] < halves[1]
    assert batch_bytes(manifest(), Patches(), 512, 1) > 2 * batch_bytes(manifest(), Patches(), 256, 1)
    assert batch_bytes(manifest(), Mosaic(), 256, 1) == batch_bytes(manifest(), Patches(), 256, 1)
