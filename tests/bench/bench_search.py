"""Search among a million synthetic vectors and captions: time of a question, recall, building, memory, size.

Vectors are synthetic, of two kinds. "random": directions at random, where the nearest of a million are hardly nearer
than any other; nothing is harder to index. "clustered": 64 numbers in 20,000 clumps, mapped to 512, with noise, all in
one cone, as vectors of encoders lie. Each row is a child process of its own, on one thread unless it says otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import CACHE, last_json, machine, note, own_peak_mb, rsccli, run_child, say, table
from made_run import make_facts, make_results

from rsccli.output.features import Feature, build_features
from rsccli.search.features import write_tiles
from rsccli.search.freshness import source_of
from rsccli.search.layout import MANIFEST, Encoder, IndexFacts
from rsccli.search.places import Filter
from rsccli.search.query import Question, SearchIndex
from rsccli.search.vectors import VectorIndex, codes_path, rows_path, vector_path, write_codes
from rsccli.types import Grid

F32 = npt.NDArray[np.float32]
WIDTH, QUESTIONS, BLOCK, K = 512, 200, 20_000, 10
COLUMNS = 1000
QUERIES = (
    "new houses along a road",
    "flooded field",
    "trees removed beside the river",
    "a large building with a parking lot",
    "the pond has dried",
)


def vectors(kind: str, count: int, seed: int) -> Iterator[F32]:
    """Blocks (n, WIDTH) of vectors of length 1; the kind's own shape does not depend on the seed."""
    shape, random = np.random.default_rng(7), np.random.default_rng(seed)
    basis = shape.standard_normal((64, WIDTH), dtype=np.float32) / 8
    middles = shape.standard_normal((20_000, 64), dtype=np.float32)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        if kind == "random":
            block = random.standard_normal((size, WIDTH), dtype=np.float32)
        else:
            inner = middles[random.integers(0, len(middles), size)]
            inner = inner + 0.5 * random.standard_normal((size, 64), dtype=np.float32)
            block = inner @ basis + 0.05 * random.standard_normal((size, WIDTH), dtype=np.float32) + 0.8
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def folder_of(kind: str, count: int) -> Path:
    """Where the generated vectors stay between runs."""
    return CACHE / f"search-{kind}-{count}"


def generate(kind: str, count: int) -> Path:
    """Vectors, questions and, by brute force, the K nearest of each question."""
    folder = folder_of(kind, count)
    if (folder / "nearest.npy").is_file():
        return folder
    note(f"{count:,} {kind} vectors")
    folder.mkdir(parents=True, exist_ok=True)
    file = np.lib.format.open_memmap(vector_path(folder, "post"), mode="w+", dtype=np.float16, shape=(count, WIDTH))
    questions = np.concatenate(list(vectors(kind, QUESTIONS, 2)))
    scores = np.empty((QUESTIONS, count), np.float32)
    for start, block in enumerate(vectors(kind, count, 1)):
        part = slice(start * BLOCK, start * BLOCK + len(block))
        file[part] = block
        # Of what is stored: half precision is the index's own, and no error of its search.
        scores[:, part] = questions @ file[part].astype(np.float32).T
    file.flush()
    np.save(rows_path(folder, "post"), np.arange(count, dtype=np.int32))
    np.save(folder / "questions.npy", questions)
    best = np.argpartition(-scores, K, axis=1)[:, :K]
    np.save(folder / "nearest.npy", best)
    return folder


def timed(
    ask: Callable[[F32], npt.NDArray[np.integer[Any]]], folder: Path, nearest: npt.NDArray[Any] | None = None
) -> dict[str, float]:
    """Milliseconds and recall of questions, each alone; ``nearest`` if not those of all vectors."""
    questions = np.load(folder / "questions.npy")
    nearest = np.load(folder / "nearest.npy") if nearest is None else nearest
    ask(questions[0])
    times, hit, busy = [], 0, time.process_time()
    for question, right in zip(questions, nearest, strict=True):
        start = time.perf_counter()
        found = ask(question)
        times.append(1000 * (time.perf_counter() - start))
        hit += len(set(found[:K].tolist()) & set(right.tolist()))
    return {
        "median": float(np.median(times)),
        "p95": float(np.percentile(times, 95)),
        "slowest": float(max(times)),
        "cpu": 1000 * (time.process_time() - busy) / len(questions),
        "recall": hit / (K * len(questions)),
    }


def measure(what: str, kind: str, count: int) -> dict[str, float]:
    """One row, in this process."""
    folder = folder_of(kind, count)
    before = own_peak_mb()
    if what == "bandwidth":
        source = np.ones(2**27, np.float32)  # 512 MB
        start = time.perf_counter()
        for _ in range(3):
            source.sum()
        return {"gb_s": 3 * source.nbytes / (time.perf_counter() - start) / 1e9}
    if what == "build":
        codes_path(folder, "post").unlink(missing_ok=True)
        start = time.perf_counter()
        assert write_codes(folder, "post", many=1)
        took = time.perf_counter() - start
        return {"wall": took, "peak": own_peak_mb(), "bytes": codes_path(folder, "post").stat().st_size}
    if what == "numpy":
        held = np.load(vector_path(folder, "post")).astype(np.float32)

        def brute(question: F32) -> npt.NDArray[np.integer[Any]]:
            scores = held @ question
            best = np.argpartition(-scores, K)[:K]
            return best[np.argsort(-scores[best])]

        return {**timed(brute, folder), "peak": own_peak_mb()}
    if what == "usearch":
        from usearch.index import Index

        made = Index(ndim=WIDTH, metric="cos", dtype="f16", expansion_search=512)
        start = time.perf_counter()
        for number, block in enumerate(vectors(kind, count, 1)):
            made.add(np.arange(number * BLOCK, number * BLOCK + len(block)), block)
        built = time.perf_counter() - start
        told = timed(lambda question: made.search(question, K).keys, folder)
        return {**told, "wall": built, "bytes": float(made.serialized_length), "peak": own_peak_mb()}
    start = time.perf_counter()
    index = VectorIndex(folder, "post")
    opened = 1000 * (time.perf_counter() - start)
    allowed = None
    share = {"tenth": 0.1, "hundredth": 0.01}.get(what)
    if share is not None:
        allowed = np.random.default_rng(3).random(count) < share
        questions, nearest = np.load(folder / "questions.npy"), []
        stored = np.load(vector_path(folder, "post"), mmap_mode="r")
        places = np.flatnonzero(allowed)
        part = stored[places].astype(np.float32)
        for question in questions:
            nearest.append(places[np.argpartition(-(part @ question), K)[:K]])
        return timed(lambda question: index.nearest(question, K, allowed)[0], folder, np.array(nearest))
    return {
        **timed(lambda question: index.nearest(question, K)[0], folder),
        "opened": opened,
        "peak": own_peak_mb() - before,
    }


# ---- words ----

THINGS = "house houses building buildings road roads tree trees field pond river parking-lot roof villa forest".split()
DONE = "built removed flooded damaged widened cleared planted replaced demolished dried grown covered".split()
SIDES = "top bottom left right middle corner edge centre north south east west".split()


def features(count: int, captions: int) -> Iterator[Feature]:
    """Synthetic tiles: half of them say the same sentence, the others one of so many."""
    random = np.random.default_rng(5)
    words = [
        f"{a} {b} {c} are {d} near the {e} on the {f}"
        for a, b, c, d, e, f in zip(
            *(
                random.choice(list(each), captions)
                for each in (
                    "many some two several".split(),
                    "new old small large".split(),
                    THINGS,
                    DONE,
                    THINGS,
                    SIDES,
                )
            ),
            strict=True,
        )
    ]
    words = [f"{text} {number % 97} of them" for number, text in enumerate(words)]
    which = random.integers(0, captions, count)
    grid = Grid("EPSG:32611", make_facts().grid.transform, COLUMNS * 256, (count // COLUMNS + 1) * 256)
    facts = make_facts(grid, tiles=count)
    for number, feature in enumerate(
        build_features(make_results(count, facts, lambda i: "changed" if i % 2 else "unchanged"), facts)
    ):
        text = words[which[number]] if number % 2 else "No lasting change can be seen between the two dates."
        object.__setattr__(feature, "caption", text)
        yield feature


def make_index(count: int, kind: str) -> Path:
    """A whole index of so many tiles, with vectors of one kind for post."""
    folder = CACHE / f"search-index-{count}"
    if (folder / MANIFEST).is_file():
        return folder
    note(f"an index of {count:,} tiles")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    start = time.perf_counter()
    written = write_tiles(folder, make_facts(), features(count, count // 5))
    written.places.save(folder)
    (folder / "built.json").write_text(json.dumps({"wall": time.perf_counter() - start}))
    for name in (vector_path, rows_path, codes_path):
        (folder / name(folder, "post").name).symlink_to(name(folder_of(kind, count), "post"))
    mark = folder / "map.txt"
    mark.write_text("synthetic")
    facts = IndexFacts("bench", source_of(mark), count, len(written.captions), pictures=count, pixels="synthetic")
    facts = IndexFacts(**{**facts.__dict__, "encoder": Encoder("synthetic", "0", "nowhere", "0", WIDTH)})
    (folder / MANIFEST).write_bytes(facts.to_bytes())
    return folder


def ask_words(count: int) -> dict[str, float]:
    """Questions in words, whole: ranking, filter, and the features read."""
    folder = CACHE / f"search-index-{count}"
    told: dict[str, float] = {}
    with SearchIndex(folder, allow_stale=True) as index:
        bounds = index._places.bounds
        west, south = np.percentile(bounds[:, 0], 40), np.percentile(bounds[:, 1], 40)
        box = (float(west), float(south), float(west) + 0.1, float(south) + 0.1)
        for name, only in (
            ("words", Filter()),
            ("words in a box", Filter(box)),
            ("words, unchanged", Filter(None, ("unchanged",))),
        ):
            times = []
            for text in QUERIES * 4:
                start = time.perf_counter()
                index.search(Question(text, 20, "caption", only))
                times.append(1000 * (time.perf_counter() - start))
            told |= {f"{name} median": float(np.median(times)), f"{name} slowest": float(max(times))}
        questions = np.load(folder_of("clustered", count) / "questions.npy")
        for name, only in (
            ("vectors", Filter()),
            ("vectors in a box", Filter(box)),
            ("vectors, changed", Filter(None, ("changed",))),
        ):
            times = []
            for vector in questions[:40]:
                start = time.perf_counter()
                found = index.nearest(vector, 20, "post", index._places.allowed(only))
                index._table.features([row for row, _ in found])
                times.append(1000 * (time.perf_counter() - start))
            told |= {f"{name} median": float(np.median(times)), f"{name} slowest": float(max(times))}
    return {**told, "peak": own_peak_mb()}


def child(what: str, kind: str, count: int, cores: int = 1) -> dict[str, float]:
    """A row in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(count), "--child", what, kind]
    threads = {"OMP_NUM_THREADS": str(cores), "OPENBLAS_NUM_THREADS": str(cores)}
    return last_json(run_child(command, threads, cores))


def main() -> None:
    """Print the tables; or, as a child, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--graph-rows", type=int, default=20_000, help="vectors for usearch's graph; 0 leaves it out")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "KIND"))
    asked = parser.parse_args()
    if asked.child:
        what, kind = asked.child
        told = ask_words(asked.rows) if what == "index" else measure(what, kind, asked.rows)
        sys.stdout.write(json.dumps(told) + "\n")
        return
    count = asked.rows
    for kind in ("clustered", "random"):
        generate(kind, count)
    say(f"## Search among {count:,} synthetic vectors of {WIDTH} numbers\n")
    say(f"{machine()}; one thread\n")
    speed = child("bandwidth", "-", count)["gb_s"]
    rows = []
    for kind in ("clustered", "random"):
        built = child("build", kind, count)
        codes, all_bytes = built["bytes"], 4.0 * count * WIDTH
        found, brute = child("vectors", kind, count), child("numpy", kind, count)
        limit, least = all_bytes / speed / 1e6, codes / speed / 1e6
        rows.append(
            [
                kind,
                "rsccli: codes, then true vectors",
                *_cells(found),
                f"{least:.0f}",
                f"{codes / 1e6:.0f}",
                f"{built['wall']:.0f}",
                f"{found['peak']:.0f}",
            ]
        )
        rows.append(
            [
                kind,
                "numpy, float32 in memory",
                *_cells(brute),
                f"{limit:.0f}",
                f"{all_bytes / 1e6:.0f}",
                "-",
                f"{brute['peak']:.0f}",
            ]
        )
        for what, name in (
            ("tenth", "rsccli, a random tenth allowed"),
            ("hundredth", "rsccli, a random hundredth allowed"),
        ):
            rows.append([kind, name, *_cells(child(what, kind, count)), "-", "-", "-", "-"])
    head = [
        "vectors",
        "how",
        "recall@10",
        "median, ms",
        "95 %, ms",
        "slowest, ms",
        "processor, ms",
        "limit of memory, ms",
        "read for a question, MB",
        "built in, s",
        "peak, MB",
    ]
    say(table(head, rows) + "\n")
    say(f"Memory gives {speed:.1f} GB/s to one thread (a sum over 512 MB); the limit is what is read at that speed.\n")
    if asked.graph_rows:
        few = asked.graph_rows
        rows = []
        for kind in ("clustered", "random"):
            generate(kind, few)
            graph = child("usearch", kind, few)
            built = child("build", kind, few)
            ours = child("vectors", kind, few)
            rows.append(
                [
                    kind,
                    "usearch 2 (HNSW, f16, expansion 512)",
                    *_cells(graph),
                    f"{graph['wall']:.1f}",
                    f"{few / graph['wall']:,.0f}",
                ]
            )
            rows.append(
                [
                    kind,
                    "rsccli: codes, then true vectors",
                    *_cells(ours),
                    f"{built['wall']:.1f}",
                    f"{few / built['wall']:,.0f}",
                ]
            )
        head = [
            "vectors",
            "how",
            "recall@10",
            "median, ms",
            "95 %, ms",
            "slowest, ms",
            "processor, ms",
            "built in, s",
            "vectors a second",
        ]
        say(f"### The same with {few:,}, against a graph\n")
        say(table(head, rows) + "\n")
    folder = make_index(count, "clustered")
    told = child("index", "-", count)
    say(f"### A whole index of {count:,} synthetic tiles ({count // 5:,} different captions)\n")
    rows = [
        [name, f"{told[f'{name} median']:.0f}", f"{told[f'{name} slowest']:.0f}"]
        for name in ("words", "words in a box", "words, unchanged", "vectors", "vectors in a box", "vectors, changed")
    ]
    say(table(["question (20 tiles, with their features)", "median, ms", "slowest, ms"], rows) + "\n")
    with tempfile.TemporaryDirectory() as other:
        command = [
            *rsccli(),
            "search",
            str(folder),
            "new houses along a road",
            "-o",
            f"{other}/hits.geojson",
            "--allow-stale",
        ]
        costs = [run_child(command, {"OMP_NUM_THREADS": "1"}, 1) for _ in range(3)]
    assert costs[0].returncode == 0, costs[0].stderr
    size = sum(path.stat().st_size for path in folder.iterdir() if not path.is_symlink())
    say(
        f'`rsccli search INDEX "new houses along a road" -o hits.geojson`: {min(each.wall_s for each in costs):.2f} s, '
        f"{costs[0].peak_mb:.0f} MB. The index without vectors: {size / 1e6:.0f} MB, written in "
        f"{json.loads((folder / 'built.json').read_text())['wall']:.0f} s."
    )


def _cells(told: dict[str, float]) -> list[str]:
    return [f"{told['recall']:.3f}", *(f"{told[name]:.1f}" for name in ("median", "p95", "slowest", "cpu"))]


if __name__ == "__main__":
    main()
