"""``rsccli dataset`` as a user runs it: output, exit codes, kills and signals are real; xBD data is synthetic."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from xbd_folder import PLACE, Scene, box, write_scene, write_tif

KEY = "sk-very-secret"
SCENES = 12


def environment(**more: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("RSCCLI_")}, "OMP_NUM_THREADS": "1", **more}


def rsccli(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def cut(arguments: list[object], when: Callable[[], bool], number: signal.Signals, **more: str) -> tuple[int, str]:
    """Start a command, send it a signal once something is so; its exit code and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        env=environment(**more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not when() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be cut"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def entries(journal: Path) -> int:
    """Whole lines of a journal after its head."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def xbd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve pairs of 512 px."""
    folder = tmp_path_factory.mktemp("data") / "xbd"
    for number in range(SCENES):
        scene = Scene(f"socal-fire_{number:08d}", "fire", [box(40, 40, level="destroyed")], size=(512, 512))
        write_scene(folder, scene)
    return folder


@pytest.fixture(scope="module")
def made(xbd: Path) -> Path:
    """The data set of it."""
    done = rsccli("dataset", "xbd", xbd, "-o", xbd.parent / "made")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split(None, 1) for line in done.stdout.splitlines()]
    assert ["pairs", f"{SCENES} ({SCENES} with damaged buildings)"] in rows
    assert ["disaster", f"wildfire: {SCENES}"] in rows and ["buildings", f"destroyed: {SCENES}"] in rows
    assert done.stdout.rstrip().endswith("left out    0") and "counted by  centroid" in done.stdout
    return xbd.parent / "made"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as started:
        yield started


def test_a_finished_data_set_is_replaced_only_when_asked(made: Path, xbd: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(made, tmp_path / "made")
    done = rsccli("dataset", "xbd", xbd, "-o", copy)
    assert done.returncode == 3 and "--overwrite" in done.stderr and "Traceback" not in done.stderr
    assert files(copy) == files(made)
    done = rsccli("dataset", "xbd", xbd, "-o", copy, "--overwrite", "--json", "--count-rule", "touch")
    assert json.loads(done.stdout)["count_rule"] == "touch", done.stderr


def test_damage_leaves_with_5_and_tells_where(xbd: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xbd"
    for number in range(3):
        write_scene(folder, Scene(f"oso-landslide_{number:08d}", "landslide", size=(512, 512)))
    label = folder / "labels" / "oso-landslide_00000001_post_disaster.json"
    label.write_text(label.read_text()[:-9])
    types = tmp_path / "types.toml"
    types.write_text('landslide = "landslide"\n')
    done = rsccli("dataset", "xbd", folder, "-o", tmp_path / "out", "--disaster-types", types, "--json")
    assert done.returncode == 5 and json.loads(done.stdout)["by_disaster"] == {"landslide": 2}
    assert f"left out: oso-landslide_00000001: {label}: damaged, not JSON" in done.stderr
    assert f"1 input was left out: {tmp_path / 'out' / 'problems.jsonl'} says why" in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow)]
)
def test_a_cut_run_leaves_nothing_that_looks_finished_and_goes_on(
    xbd: Path, made: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    command: list[object] = ["dataset", "xbd", xbd, "-o", out, "-j", 1]
    returned, errors = cut(command, lambda: entries(out / "dataset.journal") >= 2, number)
    assert returned == code, errors
    before = entries(out / "dataset.journal")
    assert 2 <= before < SCENES
    assert not {"dataset.json", "pairs.jsonl", "prompts.jsonl"} & {path.name for path in out.iterdir()}
    if code == 75:
        assert "run the same command again" in errors
    finished = {path: path.stat().st_mtime_ns for path in sorted((out / "images").glob("*_part1.png"))[: 2 * before]}
    done = rsccli(*command)
    assert done.returncode == 0, done.stderr
    assert f"{before} of {SCENES} image pairs were finished before" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "what was finished is not done again"
    assert files(out) == files(made), "the same bytes as of a run that nobody cut"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow)]
)
def test_a_cut_teacher_is_asked_for_the_rest_alone(
    made: Path, server: ChatServer, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output, mode = tmp_path / "captions.jsonl", f"slow-{100 + int(number)}"
    command: list[object] = ["dataset", "caption", made, "--endpoint", "-m", "m", "-o", output, "--parallel", 2]
    more = {"RSCCLI_ENDPOINT": server.address(mode), "RSCCLI_API_KEY": KEY}
    journal = tmp_path / "captions.jsonl.journal"
    returned, errors = cut(command, lambda: entries(journal) >= 3, number, **more)
    assert returned == code, errors
    before, asked = entries(journal), len(server.asked(mode))
    assert 3 <= before < SCENES and not output.exists()
    # A kill loses what was in flight; a signal waits for it.
    assert asked - before <= 2 if code == -9 else asked == before
    done = rsccli(*command, "--json", **more)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["captioned"], facts["requests"], facts["inference_type"]) == (SCENES, SCENES, "textual_prompt")
    assert len(server.asked(mode)) - asked == SCENES - before
    pictures = Counter(each["pictures"][0] for each in server.asked(mode))
    assert sum(times - 1 for times in pictures.values()) == asked - before, "only what a kill lost was asked twice"
    assert not journal.exists() and len(output.read_text().splitlines()) == SCENES
    everything = done.stdout + done.stderr + errors + "".join(path.read_text() for path in tmp_path.iterdir())
    assert KEY not in everything and str(server.port) not in everything


def test_the_endpoint_comes_from_the_environment_alone(made: Path, server: ChatServer, tmp_path: Path) -> None:
    command = ["dataset", "caption", made, "--endpoint", "-o", tmp_path / "a.jsonl"]
    done = rsccli(*command, "-m", "m")
    assert done.returncode == 2 and "export RSCCLI_ENDPOINT=" in done.stderr
    done = rsccli(*command, RSCCLI_ENDPOINT=server.address("ok"))
    assert done.returncode == 2 and "--model NAME" in done.stderr
    done = rsccli(*command, "-m", "m", RSCCLI_ENDPOINT=server.address("status-401"), RSCCLI_API_KEY=KEY)
    assert done.returncode == 4 and "RSCCLI_API_KEY" in done.stderr and "Traceback" not in done.stderr
    assert KEY not in done.stderr and str(server.port) not in done.stderr


def test_pairs_without_a_caption_leave_with_5(made: Path, server: ChatServer, tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    command = ["dataset", "caption", made, "--endpoint", "-m", "m", "-o", output, "--retries", 0, "--parallel", 1]
    done = rsccli(*command, RSCCLI_ENDPOINT=server.address("rubbish-4"))
    assert done.returncode == 5, done.stderr
    assert "4 of 12 pairs have no caption" in done.stderr and "a.problems.jsonl" in done.stderr
    assert done.stderr.count("left out: socal-fire_0000000") == 4
    assert "captioned   8 of 12" in done.stdout and "12, 4 malformed answers" in done.stdout
    done = rsccli(*command, RSCCLI_ENDPOINT=server.address("ok"))
    assert done.returncode == 0 and "captioned   12 of 12" in done.stdout, done.stderr


def test_the_bundled_captioner_captions_a_data_set(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", Scene(size=(512, 512), form="tif"))
    copy = tmp_path / "made"
    assert rsccli("dataset", "xbd", tmp_path / "xbd", "-o", copy, "-q").stdout == ""
    done = rsccli("dataset", "caption", copy, "--threads", 1)
    assert done.returncode == 0, done.stderr
    rows = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert rows["model"] == "rsccli-small" and rows["regime"] == "zero-shot" and rows["counts"] == "not told"
    lines = [json.loads(line) for line in Path(rows["captions"]).read_text().splitlines()]
    assert Path(rows["captions"]) == copy / "captions.rsccli-small.zero-shot.jsonl" and len(lines) == 1
    assert set(lines[0]) == {"model_id", "inference_type", "pre_image", "post_image", "change_caption"}
    assert all(line["change_caption"] for line in lines)
    done = rsccli("dataset", "caption", copy, "--regime", "textual")
    assert done.returncode == 2 and "not asked in words" in done.stderr


def test_tiles_of_a_labelled_pair(tmp_path: Path) -> None:
    import numpy as np
    import pyogrio
    import shapely

    for number, date in enumerate(("pre", "post")):
        write_tif(tmp_path / f"{date}.tif", np.random.default_rng(number).integers(0, 255, (3, 600, 600), np.uint8))
    left, top = PLACE @ (300, 300)
    building = shapely.box(left, top - 6e-5, left + 3e-5, top)
    pyogrio.raw.write(
        str(tmp_path / "labels.geojson"),
        shapely.to_wkb(np.array([building], object)),
        [np.array(["major"], object)],
        ["damage"],
        crs="EPSG:4326",
        geometry_type="Polygon",
    )
    command: list[Any] = ["dataset", "tiles", tmp_path / "pre.tif", tmp_path / "post.tif"]
    done = rsccli(*command, "--labels", tmp_path / "labels.geojson", "-o", tmp_path / "out", "--edge", "shift")
    assert done.returncode == 0, done.stderr
    assert "pairs       4 (4 with damaged buildings)" in done.stdout, "tiles that were shifted overlap"
    done = rsccli(*command, "-o", tmp_path / "b", "--labels", tmp_path / "labels.geojson", "--json", "--min-valid", "1")
    assert json.loads(done.stdout)["skipped"] == 3 and json.loads(done.stdout)["pairs"] == 1, done.stderr


def test_levir_is_checked_and_indexed(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    sentences = [{"raw": text} for text in ("a", "b", "c", "d", "there is no difference")]
    images = []
    for number in range(3):
        images.append({"filename": f"train_{number}.png", "filepath": "train", "split": "train", "changeflag": 1})
        images[-1]["sentences"] = [*sentences[:4], {"raw": "a house"}] if number else sentences
        for side in "AB":
            path = tmp_path / "images" / "train" / side / f"train_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((256, 256, 3), 10 * number + ord(side), np.uint8)).save(path)
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps({"images": images}))
    done = rsccli("dataset", "levir", tmp_path)
    assert done.returncode == 5 and "pairs       3 (3 changed, 0 unchanged)" in done.stdout
    assert "note: train/train_0.png: its flag says changed, 1 of its 5 sentences the opposite" in done.stderr
    assert "0 pairs were left out and 1 are doubtful" in done.stderr
    images[0]["sentences"] = images[1]["sentences"]
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps({"images": images}))
    done = rsccli("dataset", "levir", tmp_path, "--overwrite", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["sentences"] == 15, done.stderr


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    done = rsccli("dataset", "--help")
    assert done.returncode == 0
    assert [name for name in ("xbd", "levir", "tiles", "caption") if f"  {name} " in done.stdout] == [
        "xbd",
        "levir",
        "tiles",
        "caption",
    ]
    code = (
        "import sys; import rsccli.cli.dataset; "
        "print({'torch', 'requests', 'rasterio', 'cv2', 'onnxruntime', 'shapely', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
