"""Every reader of files that a stranger may have made: how it is called on bytes, and right files to begin with.

A reader may refuse a file with an error of ours (`RsccliError`); anything else that it raises is a bug. Hypothesis
(``tests/security/test_fuzz_readers.py``) and atheris (``make fuzz``) call the same targets.
"""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from made_run import make_facts, make_results  # noqa: E402

from rsccli.output.features import build_features  # noqa: E402
from rsccli.output.writers import write_features  # noqa: E402

CORPUS = Path(__file__).parent / "corpus"
BUNDLES = ROOT / "rsccli" / "models" / "bundled"


#: Suffix and content.
Seed = tuple[str, bytes]


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: of it, and of its folder of the corpus. read: reads a file to its end. seeds: right files with suffixes.
    """

    name: str
    read: Callable[[Path], None]
    seeds: Callable[[], Sequence[Seed]]

    def all_seeds(self) -> list[Seed]:
        """The seeds, and what the corpus keeps of files that were once misread."""
        kept = sorted((CORPUS / self.name).glob("*")) if (CORPUS / self.name).is_dir() else []
        return [*self.seeds(), *((path.suffix, path.read_bytes()) for path in kept)]

    def __call__(self, data: bytes, folder: Path, suffix: str) -> bool:
        """Read bytes as a file; whether they were taken.

        Raises:
            Whatever the reader raises that is no error of ours: a bug.
        """
        from rsccli.errors import RsccliError

        path = folder / f"{self.name}{suffix}"
        path.write_bytes(data)
        try:
            self.read(path)
        except RsccliError as error:
            assert error.exit_code in (2, 3, 4, 5), error.exit_code
            str(error).encode("utf-8", "backslashreplace")
            return False
        return True


def _used_up(items: Iterable[object]) -> None:
    for _ in items:
        pass


# ---- bundles ----


def _manifest(path: Path) -> None:
    from rsccli.models.dual.manifest import parse_dual
    from rsccli.models.large.manifest import parse_large
    from rsccli.models.manifest import parse_manifest

    parsers = {"small": parse_manifest, "dual": parse_dual, "large": parse_large}
    parsers[path.suffix[1:]](path.read_bytes(), path)


def _manifest_seeds() -> list[Seed]:
    small = json.loads((BUNDLES / "rsccli-small" / "rsccli.json").read_text())
    large = {
        **{name: small[name] for name in ("format", "version", "source", "dtype", "opset", "licence", "training_data")},
        **{"parity": {}, "limits": [], "files": small["files"], "family": "qwen2-vl", "name": "x", "axes": 3},
        "tokens": {"ends": [5], "pad": 5, "image": 7, "max_new_tokens": 9, "repetition_penalty": 1.05},
        "decoder": {"layers": 2, "heads": 2, "head_dim": 8, "width": 16, "vocab": 99, "dtype": "fp16"},
        "chat": {"head": "<u>", "image": "<p>", "tail": "<a>", "bare": True},
        **{"prompt": "naive", "vision": {"merge": 2}},
    }
    dual = {
        **{name: large[name] for name in ("format", "version", "source", "dtype", "opset", "licence", "training_data")},
        **{"parity": {}, "limits": [], "family": "dual-encoder", "name": "x", "architecture": "clip", "width": 4},
        "files": {name: {"sha256": "a" * 64, "bytes": 1} for name in ("image.onnx", "text.onnx", "tokenizer.json")},
        "picture": {
            **{"height": 4, "width": 4, "resize": "exact", "side": 4, "resample": "bilinear", "scale": 0.004},
            **{"mean": [0.5] * 3, "std": [0.5] * 3},
        },
        "text": {"length": 16, "pad": 0, "padded": False},
        "logit_scale": 4.6,
    }
    kinds = {".small": small, ".large": large, ".dual": dual}
    return [(suffix, json.dumps(each).encode()) for suffix, each in kinds.items()]


def _tokenizer(path: Path) -> None:
    from rsccli.models.tokenizer import open_tokenizer

    open_tokenizer(path)


def _tokenizer_seeds() -> list[Seed]:
    whole = json.loads((BUNDLES / "rsccli-small" / "tokenizer.json").read_text())
    short = copy.deepcopy(whole)
    vocabulary = short["model"]["vocab"]
    short["model"]["vocab"] = dict(list(vocabulary.items())[:12])
    short["added_tokens"] = short["added_tokens"][:4]
    return [(".json", json.dumps(short).encode())]


def _graph(path: Path) -> None:
    from rsccli.models.graphfile import check_graph

    check_graph(path, ("weights.data",))


@cache
def _graph_seeds() -> list[Seed]:
    from onnx import TensorProto, helper

    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights.data"), ("offset", "0"), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    inner = helper.make_graph([helper.make_node("Identity", ["w"], ["z"])], "body", [], [], [tensor])
    node = helper.make_node("Loop", ["x"], ["y"], body=inner)
    graph = helper.make_graph([node], "g", [], [], [tensor])
    return [(".onnx", helper.make_model(graph).SerializeToString()), (".onnx", b"\x08\x08")]


# ---- journals, shards and lists ----


@dataclass(frozen=True)
class _Spec:
    """What decides a run, as a journal takes it."""

    hash: str = "0123456789abcdef"

    def to_dict(self) -> dict[str, object]:
        """As JSON gives it back."""
        return {"version": "0.1.0", "pre": {"name": "a.tif", "nodata": None}, "plan": {"tile_size": 256}}


def _journal(path: Path) -> None:
    from rsccli.run.journal import Journal, journal_batch_size
    from rsccli.types import Tile

    journal_batch_size(path)
    facts = make_facts()
    tiles = [tile for _, tile in make_results(48, facts)]
    with Journal(path, _Spec()) as journal:
        records = list(journal.records())
        by_place: dict[tuple[int, int], Tile] = {(tile.row, tile.col): tile for tile in tiles}
        known = [
            (record, by_place[record.row, record.col]) for record in records if (record.row, record.col) in by_place
        ]
        _used_up(build_features(known, facts))


def _journal_seeds() -> list[Seed]:
    from rsccli.run.journal import record_line

    facts = make_facts()
    head = {"rsccli_journal": 1, "hash": _Spec().hash, "spec": _Spec().to_dict()}
    lines = [orjson.dumps(head)]
    for number, (record, _) in enumerate(make_results(12, facts)):
        lines.append(record_line(record))
        if number % 4 == 3:
            lines.append(orjson.dumps({"commit": [0, number // 4]}))
    return [(".journal", b"\n".join(lines) + b"\n")]


def _line_journal(path: Path) -> None:
    from rsccli.run.line_journal import LineJournal

    with LineJournal(path, {"a": 1, "b": [1, 2]}) as journal:
        _used_up(journal.entries)


def _line_journal_seeds() -> list[Seed]:
    head = {"rsccli_line_journal": 1, "spec": {"a": 1, "b": [1, 2]}}
    lines = [orjson.dumps(each) + b"\n" for each in (head, {"row": 1, "tiles": []}, {"row": 2})]
    return [(".journal", b"".join(lines))]


def _shard(path: Path) -> None:
    from rsccli.errors import InputError
    from rsccli.run.shard.file import check_shard, read_head, shard_records

    head = read_head(path)
    with suppress(InputError):
        # Whoever changes a shard on purpose can make its digest again.
        check_shard(path)
    _used_up(shard_records(path, head.plan()))


def _scenes(path: Path) -> None:
    from rsccli.run.manifest.scenes import read_scenes

    read_scenes(path)


def _scenes_seeds() -> list[Seed]:
    return [
        (".csv", b"id,pre,post,output\n1,a.tif,b.tif,out/1.geojson\n2,s3://b/a.tif,b.tif,2.gpkg\n"),
        (".jsonl", b'{"id": "1", "pre": "a.tif", "post": "b.tif", "output": "1.geojson"}\n'),
    ]


# ---- outputs ----


@cache
def _features_of(suffix: str) -> bytes:
    import tempfile

    facts = make_facts()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out{suffix}"
        write_features(path, build_features(make_results(9, facts), facts), facts)
        return path.read_bytes()


def binary_outputs() -> list[Seed]:
    """Right files of the formats that libraries read; a process of its own reads them (``raster_worker.py``)."""
    return [(suffix, _features_of(suffix)) for suffix in (".gpkg", ".fgb", ".parquet")]


def _output(path: Path) -> None:
    from rsccli.output.readers import read_outputs
    from rsccli.output.report import render_report
    from rsccli.output.summary import summarise

    facts, features = read_outputs(path)
    summary = summarise(features, facts)
    for form in ("md", "json", "html"):
        render_report(form, summary, facts)


def _output_seeds() -> list[Seed]:
    return [(suffix, _features_of(suffix)) for suffix in (".geojson", ".geojsonl", ".geojsons", ".csv")]


# ---- records and lists of pairs ----

_RECORDS: tuple[Seed, ...] = (
    (
        ".jsonl",
        b'{"id": "7", "pre": "a.png", "post": "b.png", "caption": "a house is built", "changed": true, "gsd_m": 0.5}\n'
        b'{"id": 8, "pre": "b.png", "post": "a.png", "captions": ["[\'a\', \'b\']", null, 3], "split": "val"}\n',
    ),
    (".csv", b'id,pre,post,caption,changed\n1,a.png,b.png,"a house, new",yes\n2,b.png,a.png,\'=1+1,no\n'),
    (".json", b'{"images": [{"filename": "a.png", "split": "train", "changeflag": 1, "sentences": [{"raw": "x"}]}]}'),
    (".json", b'{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "id": 2, "caption": "x"}]}'),
    (".json", b'[{"image_id": 1, "caption": "trees"}, {"id": "2", "pre": "a.png", "post": "b.png", "caption": ["x"]}]'),
    (".jsonl", b'{"question": "q", "answer": "a b", "caption0": "c", "caption1": "d"}\n'),
    (".jsonl", b'{"pre": "a.png", "post": "b.png", "captions": "x|y", "status": "changed", "keywords": "a;b"}\n'),
)


@cache
def _picture() -> bytes:
    import numpy as np

    from rsccli.datasets.collection.images import png_bytes

    return png_bytes(np.zeros((3, 8, 8), np.uint8))


def _records(path: Path) -> None:
    from rsccli.errors import RsccliError
    from rsccli.evaluation.benchmark.rows import read_listing as read_rows
    from rsccli.evaluation.probes.listing import read_listing
    from rsccli.evaluation.records import read_captions
    from rsccli.training.records import read_records

    for name in ("a.png", "b.png"):
        # Pictures without a place on the Earth, as data sets have them.
        if not (path.parent / name).exists():
            (path.parent / name).write_bytes(_picture())
    for read in (read_captions, read_rows, read_listing):
        try:
            read(path)
        except RsccliError:
            pass
    read_records(path)


def _polygon_seeds() -> list[Seed]:
    polygon = {"type": "Polygon", "coordinates": [[[1, 2], [4, 2], [4, 5], [1, 2]]]}
    feature = {"type": "Feature", "geometry": None, "properties": {"pre": "a.png", "post": "b.png", "caption": "x"}}
    record = {"pre": "a.png", "post": "b.png", "polygons": [polygon], "polygons_crs": "pixel", "status": "changed"}
    whole = {"type": "FeatureCollection", "features": [feature]}
    return [(".geojson", json.dumps(whole).encode()), (".json", json.dumps([record]).encode())]


def _area(path: Path) -> None:
    from rsccli.geo.aoi import read_aoi

    read_aoi.cache_clear()
    read_aoi(str(path))


def _area_seeds() -> list[Seed]:
    return [
        (".json", b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}'),
        (".geojson", b'{"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]}'),
        (
            ".json",
            b'{"type": "Feature", "properties": null, "geometry": {"type": "GeometryCollection", "geometries": []}}',
        ),
    ]


def _damage(path: Path) -> None:
    from rsccli.datasets.xbd.label import read_date, read_label
    from rsccli.run.labels.placed import read_labels

    read_date(path)
    read_label(path, (1024, 1024))
    read_labels(str(path), make_facts().grid)


def _damage_seeds() -> list[Seed]:
    building = {
        "properties": {"feature_type": "building", "subtype": "destroyed", "uid": "1"},
        "wkt": "POLYGON ((1 1, 30 1, 30 30, 1 30, 1 1))",
    }
    placed = {**building, "wkt": "POLYGON ((-118.183 33.789, -118.181 33.789, -118.181 33.791, -118.183 33.789))"}
    metadata = {"width": 1024, "height": 1024, "disaster": "x", "disaster_type": "fire", "capture_date": "2018-01-01"}
    label = {"features": {"xy": [building], "lng_lat": [placed]}, "metadata": metadata}
    return [(".json", json.dumps(label).encode())]


def _stac(path: Path) -> None:
    from rsccli.run.series.stac import read_item_collection

    read_item_collection(path, None)


def _stac_seeds() -> list[Seed]:
    asset = {"href": "./a.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}
    item = {
        **{"type": "Feature", "id": "1", "properties": {"datetime": "2020-01-01T00:00:00Z"}},
        **{"assets": {"visual": asset}, "links": [{"rel": "self", "href": "https://host/item.json"}]},
    }
    whole = {"type": "FeatureCollection", "features": [item, {**item, "id": "2"}]}
    return [(".json", json.dumps(whole).encode())]


# ---- settings ----


@cache
def _command() -> Any:
    import typer

    from rsccli.cli.main import app

    return typer.main.get_command(app).commands["caption"]  # type: ignore[attr-defined]


def _config(path: Path) -> None:
    import inspect

    from rsccli.cli.options import pair_options, parse_batch_size
    from rsccli.errors import UsageProblem

    try:
        typed = ["a.tif", "b.tif", "-o", "c.geojson", "--config", str(path)]
        given = _command().make_context("caption", typed).params
        pair_options(**{name: given[name] for name in inspect.signature(pair_options).parameters})
        parse_batch_size(given["batch_size"])
    except Exception as error:
        # What Typer says of a wrong value: an exit code of 2 and one line.
        if getattr(error, "exit_code", None) != 2 or not hasattr(error, "format_message"):
            raise
        raise UsageProblem(str(error)) from error


def _config_seeds() -> list[Seed]:
    return [
        (
            ".toml",
            b'tile-size = 256\nbands = [3, 2, 1]\nmodel = "x"\n\n[caption]\noverlap = 16\nquiet = true\n',
        ),
        (".toml", b"# comment\n[caption]\nnodata = nan\nbbox = '1,2,3,4'\n"),
    ]


def _disasters(path: Path) -> None:
    from rsccli.datasets.xbd.disasters import read_disasters

    read_disasters(path)


def _vrt(path: Path) -> None:
    from rsccli.geo.linked import check_linked

    (path.parent / "a.tif").write_bytes(b"II*\0" + bytes(64))
    check_linked(str(path), "VRT")


def _vrt_seeds() -> list[Seed]:
    text = (
        b'<VRTDataset rasterXSize="9" rasterYSize="9"><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
        b'<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">a.tif'
        b"</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return [(".vrt", text)]


# ---- indexes and answers ----


def _index_facts(path: Path) -> None:
    from rsccli.search.layout import MANIFEST, read_facts

    path.replace(path.parent / MANIFEST)
    read_facts(path.parent)


def _index_seeds() -> list[Seed]:
    from rsccli.search.layout import FORMAT

    source = {"path": "out.geojson", "size": 3, "mtime_ns": 5, "sha256": "a"}
    told = {"format": FORMAT, "version": "0", "source": source, "tiles": 3, "captions": 1, "inputs": [["a", "b"]]}
    told["encoder"] = {"name": "x", "revision": "1", "folder": "/f", "digest": "a", "width": 4}
    return [(".json", json.dumps(told).encode())]


def _codes(path: Path) -> None:
    from rsccli.search.codes import codes_fit

    codes_fit(path, 4, 40)


def _places(path: Path) -> None:
    from rsccli.search.layout import PLACES
    from rsccli.search.places import load_places

    path.replace(path.parent / PLACES)
    load_places(path.parent)


@cache
def _places_seeds() -> list[Seed]:
    import numpy as np

    out = io.BytesIO()
    np.savez(
        out,
        bounds=np.zeros((2, 4)),
        status=np.zeros(2, np.uint8),
        caption=np.zeros(2, np.int32),
        order=np.arange(2, dtype=np.int32),
        starts=np.array([0, 2]),
    )
    return [(".npz", out.getvalue())]


def _answer(path: Path) -> None:
    from rsccli.datasets.teacher.chat import NoCaptionError, read_answer, said_in_error

    said_in_error(path.read_bytes())
    try:
        read_answer(path.read_bytes())
    except NoCaptionError:
        pass  # asked again, or counted as failed


def _answer_seeds() -> list[Seed]:
    message = {"role": "assistant", "content": "<think>x</think>A house was built."}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    return [(".json", json.dumps(whole).encode()), (".json", b'{"error": {"message": "too many"}}')]


@cache
def _shard_seed() -> bytes:
    import tempfile

    from rsccli.geo.raster import RasterOptions
    from rsccli.geo.tiles import plan_tiles
    from rsccli.run.shard.file import ShardHead, write_shard
    from rsccli.run.shard.name import Shard

    facts = make_facts()
    plan = plan_tiles(facts.grid, facts.tile_size, stride=facts.stride)
    told = {
        **{"shard": Shard(1, 1), "spec": {"plan": {"superblock": [4, 4]}}, "hash": "0", "wanted": None, "facts": facts},
        **{"classes": ("a",), "masks": False, "reading": (RasterOptions(), RasterOptions(nodata=0.0)), "date": "x"},
        **{"blocks": tuple(range(plan.block_count))},
    }
    named = {each.name for each in fields(ShardHead)}
    head = ShardHead(**{name: value for name, value in told.items() if name in named})  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed"
        write_shard(path, head, [record for record, _ in make_results(48, facts)])
        return path.read_bytes()


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("manifest", _manifest, _manifest_seeds),
        Target("tokenizer", _tokenizer, _tokenizer_seeds),
        Target("graph", _graph, _graph_seeds),
        Target("journal", _journal, _journal_seeds),
        Target("line_journal", _line_journal, _line_journal_seeds),
        Target("shard", _shard, lambda: [(".rsccli-shard", _shard_seed())]),
        Target("scenes", _scenes, _scenes_seeds),
        Target("output", _output, _output_seeds),
        Target("records", _records, lambda: [*_RECORDS, *_polygon_seeds()]),
        Target("area", _area, _area_seeds),
        Target("damage", _damage, _damage_seeds),
        Target("stac", _stac, _stac_seeds),
        Target("config", _config, _config_seeds),
        Target("disasters", _disasters, lambda: [(".toml", b'a = "fire"\n'), (".json", b'{"a": "fire"}')]),
        Target("vrt", _vrt, _vrt_seeds),
        Target("index_facts", _index_facts, _index_seeds),
        Target("codes", _codes, lambda: [(".faiss", b"IPfs" + bytes(400))]),
        Target("places", _places, _places_seeds),
        Target("answer", _answer, _answer_seeds),
    )
}
