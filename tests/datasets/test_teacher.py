"""Teachers: our captioners, and an endpoint that is a real server in another process. The data set is synthetic."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioners import EchoFactory, QueuedFactory
from chat_server import ChatServer
from PIL import Image
from xbd_folder import Scene, box, write_scene

from rsccli.datasets.collection.folder import read_dataset
from rsccli.datasets.collection.images import png_bytes, read_pair
from rsccli.datasets.teacher.chat import Sampling
from rsccli.datasets.teacher.client import address_from
from rsccli.datasets.teacher.endpoint import EndpointOptions, EndpointTeacher
from rsccli.datasets.teacher.local import LocalOptions, LocalTeacher
from rsccli.datasets.teacher.run import CaptionFacts, CaptionsJob, caption_dataset
from rsccli.datasets.xbd.build import XbdJob, build_xbd
from rsccli.errors import InputError, JournalMismatchError, ModelError, OutputError, UsageProblem
from rsccli.evaluation.records import read_captions
from rsccli.models.registry import load_captioner, register, unregister
from rsccli.training.records import read_records
from rsccli.types import Caption, MapBounds, PxWindow, Tile, TilePair

KEY = "sk-very-secret"
PAIRS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twelve pairs: two of PNG images of 1024 px, four of GeoTIFFs of 512 px."""
    top = tmp_path_factory.mktemp("data")
    levels = ["no-damage", "minor-damage", "destroyed"]
    for number in range(2):
        buildings = [box(40 * n, 10, level=levels[n % 3]) for n in range(5 + number)]
        write_scene(top / "xbd", Scene(f"hurricane-michael_{number:08d}", buildings=buildings))
    for number in range(4):
        scene = Scene(f"socal-fire_{number:08d}", "fire", [box(10, 10)], size=(512, 512), form="tif")
        write_scene(top / "xbd", scene)
    build_xbd(XbdJob(top / "xbd", top / "out"))
    return top / "out"


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as started:
        yield started


def job(folder: Path, output: Path, **more: Any) -> CaptionsJob:
    return CaptionsJob(folder, {}, output, **more)


def ask(server: ChatServer, folder: Path, output: Path, mode: str, **options: Any) -> tuple[CaptionFacts, Any]:
    """Caption the data set through one way of behaving of the server."""
    address = address_from({"RSCCLI_ENDPOINT": server.address(mode), "RSCCLI_API_KEY": KEY})
    chosen = {"regime": "textual", "first_wait_s": 0.02, "timeout_s": 5.0, "parallel": 3, **options}
    return caption_dataset(job(folder, output), EndpointTeacher(address, EndpointOptions("m/1", **chosen), folder))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_pair_is_asked_once_with_its_own_pictures_and_prompt(
    server: ChatServer, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "captions.jsonl"
    facts, problems = ask(server, folder, output, "ok", sampling=Sampling(0.0, 300))
    assert problems == () and (facts.captioned, facts.failed, facts.requests, facts.malformed) == (PAIRS, 0, PAIRS, 0)
    assert (facts.prompt_tokens, facts.answer_tokens) == (700 * PAIRS, 20 * PAIRS)
    asked = server.asked("ok")
    assert len(asked) == PAIRS and {each["key"] for each in asked} == {f"Bearer {KEY}"}
    assert {(each["model"], each["temperature"], each["max_tokens"]) for each in asked} == {("m/1", 0.0, 300)}
    assert {kind for each in asked for kind in each["kinds"]} == {"data:image/png;base64,"}
    data = read_dataset(folder)
    by_picture = {each["pictures"][0]: each for each in asked}
    assert len(by_picture) == PAIRS
    wanted = {}
    for pair in data.pairs:
        pictures = [(folder / name).read_bytes() for name in (pair.pre, pair.post)]
        if pair.pre.endswith(".tif"):
            seen = read_pair(folder / pair.pre, folder / pair.post)
            pictures = [png_bytes(seen.pre), png_bytes(seen.post)]
        digests = [hashlib.sha256(picture).hexdigest() for picture in pictures]
        assert by_picture[digests[0]]["pictures"] == digests
        wanted[pair.id] = f"Houses near {digests[0][:8]} were damaged."
        counts = f"{sum(pair.counts.values())} building" if sum(pair.counts.values()) else "no building"
        assert f"count {counts}" in by_picture[digests[0]]["prompt"]
    records = {tuple(sorted((each["pre_image"], each["post_image"]))): each for each in lines(output)}
    assert len(records) == PAIRS
    for pair in data.pairs:
        record = records[tuple(sorted((pair.pre, pair.post)))]
        assert record["change_caption"] == wanted[pair.id]
        assert (record["model_id"], record["inference_type"]) == ("m/1", "textual_prompt")
    assert [each["pre_image"] for each in lines(output)] == [pair.pre for pair in data.pairs], "in the data set's order"
    assert {path.name for path in tmp_path.iterdir()} == {"captions.jsonl", "captions.train.jsonl", "captions.json"}


def test_captions_are_read_by_evaluation_and_training(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "captions.jsonl"
    ask(server, folder, output, "ok")
    file = read_captions(output)
    assert file.format == "rscc" and len(file.records) == PAIRS and not file.problems
    assert {(record.model, record.regime) for record in file.records} == {("m/1", "textual_prompt")}
    records = read_records(tmp_path / "captions.train.jsonl")
    assert [bool(record.status) for record in records] == [pair.damaged > 0 for pair in read_dataset(folder).pairs]
    assert {record.place for record in records} == {pair.place for pair in read_dataset(folder).pairs}
    facts = json.loads((tmp_path / "captions.json").read_text())
    assert facts["counts_from_labels"] is True and facts["count_rule"] == "centroid"
    assert KEY not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert str(server.port) not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_the_visual_regime_shows_outlines_and_the_naive_one_tells_nothing(
    server: ChatServer, folder: Path, tmp_path: Path
) -> None:
    facts, _ = ask(server, folder, tmp_path / "v.jsonl", "parts", regime="visual")
    assert facts.inference_type == "visual_prompt" and facts.counts_from_labels
    pair = read_dataset(folder).pairs[0]
    drawn = hashlib.sha256((folder / pair.annotated).read_bytes()).hexdigest()
    (asked,) = [each for each in server.asked("parts") if each["pictures"][1] == drawn]
    assert "outlined in the colour" in asked["prompt"] and pair.annotated != pair.post
    facts, _ = ask(server, folder, tmp_path / "n.jsonl", "thinks", regime="naive")
    assert facts.inference_type == "zero-shot" and not facts.counts_from_labels
    assert len({each["prompt"] for each in server.asked("thinks")}) == 1
    assert all(line["change_caption"].startswith("Houses near") for line in lines(tmp_path / "n.jsonl"))
    assert all(line["post_image"].startswith("images/") for line in lines(tmp_path / "v.jsonl")), "joins by name"


def test_a_limit_is_kept_by_all_threads(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    facts, problems = ask(server, folder, tmp_path / "a.jsonl", "limit-2", parallel=2)
    assert problems == () and facts.requests == PAIRS + 2
    times = [each["time"] for each in server.asked("limit-2")]
    # Both first requests were refused with Retry-After: 1, and nobody asked again before.
    assert times[1] - times[0] < 0.5 and min(times[2:]) - times[1] >= 0.95


def test_our_own_rate_limit_spaces_requests(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    ask(server, folder, tmp_path / "a.jsonl", "slow-1", per_minute=1200, parallel=6)
    times = sorted(each["time"] for each in server.asked("slow-1"))
    assert times[-1] - times[0] >= 0.05 * (PAIRS - 1) * 0.9


def test_failures_pass(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    for mode, malformed in (("flaky-3", 0), ("cut-4", 0), ("rubbish-6", 6)):
        facts, problems = ask(server, folder, tmp_path / f"{mode}.jsonl", mode)
        assert problems == () and facts.captioned == PAIRS, mode
        assert facts.malformed == malformed
        assert facts.requests == len(server.asked(mode)) > PAIRS


def test_a_server_that_hangs_or_drips_is_left_after_the_timeout(
    server: ChatServer, folder: Path, tmp_path: Path
) -> None:
    for mode in ("hang-2", "drip-2"):
        facts, problems = ask(server, folder, tmp_path / f"{mode}.jsonl", mode, timeout_s=0.5, parallel=2)
        assert problems == () and facts.requests == PAIRS + 2
        times = [each["time"] for each in server.asked(mode)]
        assert 0.4 <= times[2] - times[0] <= 3, mode


def test_a_dead_server_ends_the_run_and_keeps_the_journal(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no caption for 10 pairs .*HTTP 503: no GPU is free \(tried 2 times\)"):
        ask(server, folder, tmp_path / "a.jsonl", "down", retries=1, first_wait_s=0.0)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl.journal"}
    facts, problems = ask(server, folder, tmp_path / "a.jsonl", "slow-0", retries=1)
    assert problems == () and facts.captioned == PAIRS
    address = address_from({"RSCCLI_ENDPOINT": "http://127.0.0.1:1/v1"})
    teacher = EndpointTeacher(address, EndpointOptions("m", "naive", retries=0, first_wait_s=0), folder)
    with pytest.raises(ModelError, match="no connection to it") as error:
        caption_dataset(job(folder, tmp_path / "b.jsonl"), teacher)
    assert "127.0.0.1" not in str(error.value) and error.value.__cause__ is None


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("status-401", "refuses the key"),
        ("status-403", "refuses the key"),
        ("status-404", "no such model or address"),
        ("status-410", "HTTP 410"),
        ("redirect", "HTTP 307"),
        ("wait-7200", "wait 120 minutes"),
    ],
)
def test_what_no_retry_can_mend_ends_the_run_at_once_and_tells_no_secret(
    server: ChatServer, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str, said: str
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError, match=said) as error:
        ask(server, folder, tmp_path / "a.jsonl", mode)
    assert len(server.asked(mode)) <= 3, "those that were in flight"
    told = str(error.value) + "".join(path.read_text() for path in tmp_path.iterdir())
    told += "".join(record.getMessage() for record in caplog.records if record.name.startswith("rsccli"))
    assert KEY not in told and str(server.port) not in told and "127.0.0.1" not in told


@pytest.mark.parametrize(
    ("mode", "said"), [("long", "--max-new-tokens"), ("refusal", "refused"), ("status-400", "HTTP 400")]
)
def test_what_concerns_one_pair_is_not_asked_again(
    server: ChatServer, folder: Path, tmp_path: Path, mode: str, said: str
) -> None:
    with pytest.raises(ModelError, match="10 pairs one after another") as error:
        ask(server, folder, tmp_path / "a.jsonl", mode)
    assert said in str(error.value)
    assert 10 <= len(server.asked(mode)) <= PAIRS, "each pair once"


def test_pairs_that_failed_alone_are_asked_by_the_next_run(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    # Of six rubbish answers without a second try six pairs have none.
    facts, problems = ask(server, folder, tmp_path / "a.jsonl", "rubbish-5", retries=0, parallel=1)
    assert (facts.captioned, facts.failed, facts.malformed) == (PAIRS - 5, 5, 5)
    assert [each.file for each in problems] == [pair.id for pair in read_dataset(folder).pairs[:5]]
    assert problems[0].problem == "the answer is not JSON (tried 1 times)"
    assert len(lines(tmp_path / "a.jsonl")) == PAIRS - 5
    assert lines(tmp_path / "a.problems.jsonl")[0]["file"] == problems[0].file
    assert (tmp_path / "a.jsonl.journal").exists()
    before = len(server.asked("rubbish-5"))
    facts, problems = ask(server, folder, tmp_path / "a.jsonl", "rubbish-5", retries=0, parallel=1)
    assert problems == () and (facts.captioned, facts.requests, facts.malformed) == (PAIRS, PAIRS + 5, 5)
    assert len(server.asked("rubbish-5")) - before == 5
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "a.train.jsonl", "a.json"}
    with pytest.raises(OutputError, match="--overwrite"):
        ask(server, folder, tmp_path / "a.jsonl", "rubbish-5")


def test_another_question_does_not_go_on_from_the_journal(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    ask(server, folder, tmp_path / "a.jsonl", "rubbish-1", retries=0, parallel=1)
    with pytest.raises(JournalMismatchError, match="inference type: textual_prompt, now zero-shot"):
        ask(server, folder, tmp_path / "a.jsonl", "rubbish-1", regime="naive")


def test_a_damaged_picture_costs_its_own_pair_and_no_request(server: ChatServer, folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / read_dataset(copy).pairs[-1].pre).write_bytes(b"II*\x00")
    (copy / read_dataset(copy).pairs[0].pre).unlink()
    facts, problems = ask(server, copy, tmp_path / "a.jsonl", "slow-2")
    assert (facts.captioned, facts.requests) == (PAIRS - 2, PAIRS - 2) == (len(server.asked("slow-2")),) * 2
    assert [each.file for each in problems] == [read_dataset(copy).pairs[index].id for index in (0, -1)]


def test_options_out_of_range_are_refused() -> None:
    for wrong in ({"parallel": 0}, {"retries": -1}, {"timeout_s": 0}):
        with pytest.raises(UsageProblem, match="--parallel"):
            EndpointOptions("m", "naive", **wrong)  # type: ignore[arg-type]


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make one first"):
        caption_dataset(job(tmp_path, tmp_path / "a.jsonl"), LocalTeacher(LocalOptions(), tmp_path))


# Our own captioners.


def test_the_bundled_captioner_says_of_a_pair_what_it_says_anywhere(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", Scene("socal-fire_00000001", "fire", [box(10, 10)], size=(512, 512), form="tif"))
    write_scene(tmp_path / "xbd", Scene("socal-fire_00000002", "fire", size=(512, 512)))
    folder = tmp_path / "out"
    build_xbd(XbdJob(tmp_path / "xbd", folder))
    teacher = LocalTeacher(LocalOptions(gsd_m=0.6), folder)
    assert (teacher.model, teacher.regime) == ("rsccli-small", "naive")
    facts, problems = caption_dataset(job(folder, tmp_path / "a.jsonl"), teacher)
    assert problems == () and facts.captioned == 2 and facts.revision == teacher.revision
    assert facts.inference_type == "zero-shot" and not facts.counts_from_labels
    tiles = []
    for pair, gsd_m in zip(read_dataset(folder).pairs, (0.434, 0.6), strict=True):
        seen = read_pair(folder / pair.pre, folder / pair.post)
        tile = Tile(pair.id, 0, 0, PxWindow(0, 0, 512, 512), MapBounds(0, 512, 512, 0))
        tiles.append(TilePair(tile, seen.pre, seen.post, seen.valid, pair.gsd_m or gsd_m))
        assert tiles[-1].gsd_m == pytest.approx(gsd_m, abs=0.001), "of the image, else what the user says"
    captioner = load_captioner()
    try:
        said = [caption.text for caption in captioner.caption(tiles)]
    finally:
        captioner.close()
    assert [each["change_caption"] for each in lines(tmp_path / "a.jsonl")] == said


@pytest.mark.parametrize("regime", ["textual", "visual"])
def test_a_captioner_that_hears_no_words_is_not_asked_with_counts(folder: Path, regime: Any) -> None:
    with pytest.raises(UsageProblem, match="is not asked in words"):
        LocalTeacher(LocalOptions(regime=regime), folder)


def test_a_captioner_that_is_asked_in_words_is_told_what_labels_say(folder: Path, tmp_path: Path) -> None:
    register("echo", EchoFactory)
    try:
        teacher = LocalTeacher(LocalOptions("echo"), folder)
        assert teacher.regime == "textual", "as RSCC's captions were made"
        facts, _ = caption_dataset(job(folder, tmp_path / "a.jsonl"), teacher)
        assert facts.counts_from_labels
        naive = LocalTeacher(LocalOptions("echo", regime="naive"), folder)
        assert naive.regime == "naive"
    finally:
        unregister("echo")
    said = [json.loads(each["change_caption"]) for each in lines(tmp_path / "a.jsonl")]
    for pair, told in zip(read_dataset(folder).pairs, said, strict=True):
        assert told["context"]["counts"] == pair.context.counts
        assert told["context"]["source"] == pair.counts_from and told["context"]["disaster"] == pair.disaster_type
        assert told["context"]["post_date"] == pair.post_date and told["gsd_m"] == pair.gsd_m
    assert Counter(told["context"]["disaster"] for told in said) == {"storm": 8, "wildfire": 4}


def test_a_captioner_that_fails_on_a_batch_goes_on_pair_by_pair(folder: Path, tmp_path: Path) -> None:
    def queue() -> QueuedFactory:
        fails, good = ModelError("a graph failed"), [Caption(f"caption {n}", "changed") for n in range(PAIRS)]
        # The batch fails at once; alone only its second pair fails; one caption of the second batch is empty.
        rest = [Caption(" ", "changed"), *good[:5]]
        return QueuedFactory([fails, good[0], fails, *good[2:6], *rest])

    register("queued", queue)
    try:
        teacher = LocalTeacher(LocalOptions("queued", batch_size=6), folder)
        facts, problems = caption_dataset(job(folder, tmp_path / "a.jsonl"), teacher)
    finally:
        unregister("queued")
    assert (facts.captioned, facts.failed, facts.malformed) == (PAIRS - 2, 2, 1)
    assert [each.problem for each in problems] == ["a graph failed", "the caption is empty"]
    assert [each.file for each in problems] == [read_dataset(folder).pairs[index].id for index in (1, 6)]


def test_the_visual_regime_shows_a_captioner_the_annotated_image(folder: Path) -> None:
    register("echo", EchoFactory)
    try:
        teacher = LocalTeacher(LocalOptions("echo", regime="visual"), folder)
    finally:
        unregister("echo")
    pair = read_dataset(folder).pairs[0]
    shown = teacher.tile_pair(pair)
    drawn = np.moveaxis(np.asarray(Image.open(folder / pair.annotated)), 2, 0)
    np.testing.assert_array_equal(shown.post, drawn)
    assert shown.context is not None and shown.context.outlines == ()
