"""Large models as a person uses them: exported, shown, asked, stopped and resumed, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rasterio
from command import Made, run_cli
from rasterio.warp import transform_bounds

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PAIR = (EXAMPLES / "prairie_2012-07-31.tif", EXAMPLES / "prairie_2014-07-20.tif")
#: One core and the CPU, so that a run is the same everywhere.
HERE = ("--device", "cpu", "--threads", "1")
FEW = ("--max-new-tokens", "12", "--no-report")

Run = Callable[..., list[dict[str, Any]]]


def features_of(output: Path) -> list[dict[str, Any]]:
    document = json.loads(output.read_text(encoding="utf-8"))
    return [{"id": each["id"], "bbox": each["bbox"], **each["properties"]} for each in document["features"]]


def words_of(features: list[dict[str, Any]]) -> list[str]:
    return [each["caption"] for each in features]


@pytest.fixture(scope="module")
def run(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Caption the example pair with the bundle and more options; the features."""

    def run(*options: str | Path, model: Path = made.bundle) -> list[dict[str, Any]]:
        output = tmp_path_factory.mktemp("run") / "out.geojson"
        done = run_cli("caption", *PAIR, "-o", output, "-m", model, *HERE, *options)
        assert done.returncode == 0 and done.stdout == "", done.stderr
        return features_of(output)

    return run


def whole_run(output: Path, bundle: Path) -> list[str]:
    """The command of the run that is killed, two tiles at a time."""
    return [str(each) for each in ("caption", *PAIR, "-o", output, "-m", bundle, *HERE, "--batch-size", "2")]


@pytest.fixture(scope="module")
def undisturbed(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what a run that nobody disturbed wrote."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_cli(*whole_run(folder / "out.geojson", made.bundle))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def said(undisturbed: Path) -> list[dict[str, Any]]:
    return features_of(undisturbed / "out.geojson")


@pytest.fixture(scope="module")
def few(run: Run) -> list[dict[str, Any]]:
    """Twelve tokens of each tile."""
    return run(*FEW)


# ---- export-onnx ----


def test_an_export_tells_its_progress_on_stderr_alone(made: Made) -> None:
    assert made.done.stdout == ""
    lines = made.done.stderr.splitlines()
    assert all(line.startswith("rsccli: ") for line in lines)
    steps = "Qwen2-VL, reading encoder's embedding's decoder's comparing tokens MB try".split()
    places = [next(i for i, line in enumerate(lines) if f" {step}" in line) for step in steps]
    assert places == sorted(places)
    assert f"rsccli caption PRE POST -o out.geojson -m {made.bundle}" in lines[-1]
    assert "the same tokens on 3 of 3 pairs" in made.done.stderr and "GB of memory" in lines[0]


def test_help_shows_how() -> None:
    done = run_cli("export-onnx", "--help")
    for part in (
        "export-onnx path/to/Qwen2.5-VL-3B-Instruct -o qwen3b\n",
        "export-onnx -o small-again\n",
        "--quantize",
    ):
        assert part in done.stdout


def test_a_configuration_file_and_the_environment_set_options(light: Path, tmp_path: Path) -> None:
    config = tmp_path / "job.toml"
    config.write_text('[export-onnx]\ndtype = "fp8"\n')
    done = run_cli("export-onnx", light, "-o", tmp_path / "bundle", "--config", config)
    assert done.returncode == 2 and "--dtype 'fp8'" in done.stderr
    done = run_cli("export-onnx", light, "-o", tmp_path / "bundle", RSCCLI_OPSET="17")
    assert done.returncode == 2 and "--opset 17" in done.stderr


def test_the_bundled_captioner_takes_no_options_of_large_ones(tmp_path: Path) -> None:
    for options in (
        ("--dtype", "fp16"),
        ("--quantize", "int8"),
        ("--opset", "23"),
        ("--name", "mine"),
        ("--no-verify",),
    ):
        done = run_cli("export-onnx", "-o", tmp_path / "bundle", *options)
        assert done.returncode == 2 and "the bundled captioner is exported as it is" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def small_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled captioner, exported again from its own checkpoint."""
    bundle = tmp_path_factory.mktemp("small") / "again"
    done = run_cli("export-onnx", "-o", bundle)
    assert done.returncode == 0 and done.stdout == "", done.stderr
    return bundle


@pytest.mark.slow
def test_the_bundled_captioner_exported_again_gives_the_same_scores(run: Run, small_again: Path) -> None:
    bundled, again = (run("--no-report", model=model) for model in ("rsccli-small", small_again))
    scores = [[each["change_score"] for each in features] for features in (bundled, again)]
    assert len({round(score, 2) for score in scores[0]}) > 3
    assert scores[1] == pytest.approx(scores[0], abs=1e-2)
    assert [each["status"] for each in again] == [each["status"] for each in bundled]
    assert [each["keywords"] for each in again] == [each["keywords"] for each in bundled]


# ---- models ----


def test_a_bundle_is_shown_and_verified(made: Made, tmp_path: Path) -> None:
    done = run_cli("models", made.bundle)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("tiny-vl-bundle", "qwen2-vl", "fp32", made.manifest["source"]["revision"], "not measured"):
        assert part in done.stdout
    for name in made.manifest["files"]:
        assert f"{name}, {(made.bundle / name).stat().st_size} bytes" in " ".join(done.stdout.split())
    document = json.loads(run_cli("models", made.bundle, "--json").stdout)
    assert document["bundle"]["verified"] is True and document["info"]["prompt"] == "naive"
    spoiled = Path(shutil.copytree(made.bundle, tmp_path / "spoiled"))
    content = bytearray((spoiled / "embed.onnx").read_bytes())
    content[-1] ^= 255
    (spoiled / "embed.onnx").write_bytes(content)
    done = run_cli("models", spoiled)
    assert (done.returncode, done.stdout) == (4, "") and "embed.onnx is not the file" in done.stderr


def test_a_checkpoint_in_place_of_a_bundle_says_what_to_do(checkpoint: Path, tmp_path: Path) -> None:
    for command in (["caption", *PAIR, "-o", tmp_path / "out.geojson", "-m", checkpoint], ["models", checkpoint]):
        done = run_cli(*command)
        assert done.returncode == 4 and done.stdout == "" and "Traceback" not in done.stderr
        for part in (f"{checkpoint} is a checkpoint", f"rsccli export-onnx {checkpoint} -o BUNDLE", "--backend torch"):
            assert part in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_in_place_of_a_checkpoint(made: Made, tmp_path: Path) -> None:
    done = run_cli("caption", *PAIR, "-o", tmp_path / "out.geojson", "-m", made.bundle, "--backend", "torch")
    assert done.returncode == 4 and "config.json: give the folder of a checkpoint" in done.stderr


# ---- caption ----


def test_every_tile_is_a_feature_in_its_place(said: list[dict[str, Any]], made: Made) -> None:
    assert [each["id"] for each in said] == [f"r{row:05d}c{col:05d}" for row in range(3) for col in range(4)]
    with rasterio.open(PAIR[0]) as dataset:
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
    for each in said:
        left, bottom, right, top = each["bbox"]
        assert west - 0.01 < left < right < east + 0.01 and south - 0.01 < bottom < top < north + 0.01
        assert each["bbox"][0] == pytest.approx(west + each["tile_col"] * 256 * 5.0 / 75_800, abs=2e-3)
        assert each["bbox"][3] == pytest.approx(north - each["tile_row"] * 256 * 5.0 / 111_200, abs=2e-3)
        assert each["model"] == "tiny-vl-bundle" and each["model_revision"].startswith(made.manifest["version"] + "+")
        assert (
            each["logprob"] < 0
            and each["change_score"] is None
            and each["status"] in ("changed", "unchanged", "unsure")
        )
    assert len(set(words_of(said))) > 6


def test_how_captions_ended_is_told(said: list[dict[str, Any]], run: Run) -> None:
    """The model of these tests ends some, repeats itself in some, and goes on in others."""
    reasons = [each["reason"] for each in said]
    cut, loop = "the caption was cut at 256 tokens", "the caption began to repeat itself and was stopped"
    assert {cut, loop, None} == set(reasons)
    free = run("--no-repetition-guard", "--no-report")
    for guarded, other in zip(said, free, strict=True):
        if guarded["reason"] == loop:
            # What is left is the beginning of what would have been said, one copy of what came again and again.
            assert other["reason"] != loop and len(other["caption"]) > len(guarded["caption"])
            assert other["caption"].startswith(guarded["caption"])
        else:
            assert (other["caption"], other["reason"]) == (guarded["caption"], guarded["reason"])


def test_a_shorter_limit_cuts_captions_and_says_so(said: list[dict[str, Any]], few: list[dict[str, Any]]) -> None:
    assert {each["reason"] for each in few} == {"the caption was cut at 12 tokens"}
    for short, long in zip(few, said, strict=True):
        assert len(short["caption"]) <= 12
        # Bytes that belonged to a longer character may be cut off.
        assert long["caption"].startswith(short["caption"].rstrip("\ufffd")) or len(long["caption"]) < 12


@pytest.mark.parametrize("beams", ["1", pytest.param("4", marks=pytest.mark.slow)])
def test_transformers_says_the_same_as_the_bundle(
    run: Run, said: list[dict[str, Any]], few: list[dict[str, Any]], checkpoint: Path, beams: str
) -> None:
    torch = ("--backend", "torch", "--num-beams", beams, "--no-report")
    if beams == "1":
        ours, theirs = said, run(*torch, model=checkpoint)
    else:
        ours, theirs = run("--num-beams", beams, *FEW), run(*torch, *FEW, model=checkpoint)
        assert words_of(ours) != words_of(few)  # or there would be no search
    assert words_of(theirs) == words_of(ours)
    assert [(each["status"], each["reason"]) for each in theirs] == [(each["status"], each["reason"]) for each in ours]
    assert [each["logprob"] for each in theirs] == pytest.approx([each["logprob"] for each in ours], abs=2e-3)
    assert {each["model"] for each in theirs} == {checkpoint.name}


@pytest.mark.slow
def test_draws_depend_on_the_seed_and_the_tile_alone(run: Run, few: list[dict[str, Any]]) -> None:
    def drawn(seed: str, batch_size: str) -> list[dict[str, Any]]:
        return run("--temperature", "1", "--seed", seed, "--batch-size", batch_size, *FEW)

    first, second, other = drawn("7", "5"), drawn("7", "1"), drawn("8", "5")
    assert words_of(first) == words_of(second)
    assert [each["logprob"] for each in first] == pytest.approx([each["logprob"] for each in second], abs=2e-4)
    assert all(one != another for one, another in zip(words_of(first), words_of(other), strict=True))
    assert all(one != another for one, another in zip(words_of(first), words_of(few), strict=True))


# ---- what it is asked ----


def test_a_prompt_of_ones_own(run: Run, few: list[dict[str, Any]], tmp_path: Path) -> None:
    """Its fields reach the model: what changes a field changes the words."""
    own = tmp_path / "prompt.txt"
    own.write_text("Before: {pre} of {pre_date}. After: {post}. Near {place}, pixels of {gsd}: what is new?\n")
    here, there = (run("--prompt", own, "--place", place, *FEW) for place in ("Mandan", "Fargo"))
    assert len({tuple(words_of(each)) for each in (few, here, there)}) == 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("What is {colour}?", ["line 1", "{colour}", "{disaster}"]),
        ("Only {pre} here.", ["{pre} without {post}"]),
        ("What does <|image_pad|> show?", ["<|image_pad|>", "word it otherwise"]),
    ],
)
def test_a_prompt_that_cannot_be_asked(made: Made, tmp_path: Path, text: str, parts: list[str]) -> None:
    own = tmp_path / "prompt.txt"
    own.write_text(text)
    done = run_cli("caption", *PAIR, "-o", tmp_path / "o.geojson", "-m", made.bundle, *HERE, "--prompt", own, *FEW)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert [part for part in parts if part not in done.stderr] == []
    assert not (tmp_path / "o.geojson").exists()


def write_labels(path: Path, boxes: list[list[float]], level: str) -> None:
    """A building of 100 m in the middle of each box."""
    features = []
    for left, bottom, right, top in boxes:
        x, y = (left + right) / 2, (bottom + top) / 2
        ring = [[x, y], [x + 0.0013, y], [x + 0.0013, y + 0.0009], [x, y + 0.0009], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"damage": level}, "geometry": geometry})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def test_counts_of_labels_are_told_and_named(run: Run, few: list[dict[str, Any]], made: Made, tmp_path: Path) -> None:
    labels = tmp_path / "damage.geojson"
    options = ("--prompt", "textual", "--labels", labels, "--disaster", "flood", *FEW)
    write_labels(labels, [each["bbox"] for each in few[:2]], "destroyed")
    destroyed = run(*options)
    write_labels(labels, [each["bbox"] for each in few[:2]], "no-damage")
    whole = run(*options)
    source = "counts from labels: damage.geojson (centroid)"
    assert {each["reason"] for each in destroyed} == {f"the caption was cut at 12 tokens; {source}"}
    same = [one == other for one, other in zip(words_of(destroyed), words_of(whole), strict=True)]
    # Two tiles have other counts; nothing changed for the rest of them.
    assert same == [False, False, *[True] * 10]
    assert all(one != other for one, other in zip(words_of(destroyed), words_of(few), strict=True))
    bare = run_cli("caption", *PAIR, "-o", tmp_path / "o.geojson", "-m", made.bundle, "--prompt", "visual", *FEW)
    assert bare.returncode == 2 and "--labels FILE or --counts-from mask" in bare.stderr


# ---- cut and resumed ----


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bytes(made: Made, undisturbed: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output, journal = work / "out.geojson", work / "out.geojson.journal"
    command = [sys.executable, "-m", "rsccli", *whole_run(output, made.bundle)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > 2:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it was over before: {err}"
    assert journal.exists() and not output.exists()
    # Captions of two models are never mixed in one output.
    other = Path(shutil.copytree(made.bundle, tmp_path / "other"))
    (other / "rsccli.json").write_text(json.dumps({**made.manifest, "licence": "of its own"}))
    before = journal.read_bytes()
    refused = run_cli(*whole_run(output, other))
    assert refused.returncode == 3 and "model.revision" in refused.stderr
    assert journal.read_bytes() == before and not output.exists()
    done = run_cli(*whole_run(output, made.bundle))
    assert done.returncode == 0 and "were finished before" in done.stderr, done.stderr
    for path in undisturbed.iterdir():
        assert (work / path.name).read_bytes() == path.read_bytes(), path.name
    assert sorted(path.name for path in work.iterdir()) == sorted(path.name for path in undisturbed.iterdir())
