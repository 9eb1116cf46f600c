"""Fine-tuning on a user's pairs: it learns, held-out places never reach it, it goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from rsccli.errors import InputError, JournalMismatchError
from rsccli.models.small.export import Calibration
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import SmallCaptioner, SmallConfig
from rsccli.models.small.tokenizer import captioner_tokenizer
from rsccli.training.development import ScoredPairs
from rsccli.training.finetune import ADAPTED, Finetuner, FinetuneSpec, finetune
from rsccli.training.gain import Scored, figures, recalibrated, shipped_calibration
from rsccli.training.loop import LOG, load_state, save_state
from rsccli.training.records import PairRecord, read_records
from rsccli.training.sides import Sides, split_pairs
from rsccli.training.user_pairs import UserPair, batch_of, fixed_views, read_user_pair, record_labels, training_view
from rsccli.training.user_words import caption_facts, keyword_of

SIDE, K = 64, len(KEYWORDS)
HOUSE = (10, 20, 24, 24)  # left, top, width, height


def _quiet(_: str) -> None:
    """Says nothing."""


def _sides(records: Sequence[PairRecord], spec: FinetuneSpec, notes: list[str] | None = None) -> Sides:
    return split_pairs(records, [] if notes is None else notes, spec.held_out, spec.validation, spec.seed, spec.gsd_m)


def _ground(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.normal(100, 12, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def _write_pairs(folder: Path, places: int = 6, each: int = 4, seed: int = 0) -> Path:
    """Places of ground; in every other pair a bright block appears."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = []
    for place in range(places):
        for number in range(each):
            name, changed = f"p{place}_{number}", number % 2 == 0
            pre = _ground(rng)
            post = np.clip(pre.astype(int) + rng.integers(-4, 5, pre.shape), 0, 255).astype(np.uint8)
            x, y, w, h = HOUSE
            if changed:
                post[y : y + h, x : x + w] = 235
            cv2.imwrite(str(folder / f"{name}_a.png"), pre)
            cv2.imwrite(str(folder / f"{name}_b.png"), post)
            line: dict[str, Any] = {"pre": f"{name}_a.png", "post": f"{name}_b.png", "place": f"place {place}"}
            line |= {"status": "changed" if changed else "unchanged"}
            if changed:
                line["keywords"] = ["new building"]
                line["polygons"] = [[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]]
            lines.append(json.dumps(line))
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with random weights."""
    torch.manual_seed(0)
    tokenizer = captioner_tokenizer()
    config = SmallConfig(
        vocab=tokenizer.get_vocab_size(),
        width=24,
        layers=1,
        heads=2,
        stem=6,
        siamese=(6, 8, 8),
        fused=(8, 8, 12, 12),
        top_down=8,
    )
    model = SmallCaptioner(config)
    path = tmp_path_factory.mktemp("start") / "start.pt"
    save_state({"config": config.as_dict(), "tokenizer": tokenizer.to_str(), "average": model.state_dict()}, path)
    return path


@pytest.fixture
def spec(start: Path, tmp_path: Path) -> FinetuneSpec:
    return FinetuneSpec(tmp_path / "run", start, epochs=2, rate=1e-2, device="cpu")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return _write_pairs(tmp_path / "pairs")


def test_it_learns_easy_pairs_and_says_so_of_held_out_places(pairs: Path, spec: FinetuneSpec):
    gain = finetune(read_records(pairs), replace(spec, epochs=9, batch_size=4), bundle=False, say=_quiet)
    assert (gain.before.keyword_recall, gain.after.keyword_recall) == (0.0, 1.0)
    assert gain.after.keyword_precision is not None and gain.after.keyword_precision >= 0.5
    assert gain.after.auc is not None and gain.after.auc > 0.95
    assert gain.after.accuracy is not None and gain.after.accuracy >= 0.75
    assert gain.after.mask_iou is not None
    assert sum(side["pairs"] for side in gain.sides.values()) == 24
    assert sum(side["places"] for side in gain.sides.values()) == 6
    assert json.loads((spec.output / "gain.json").read_text())["after"] == gain.after.as_dict()
    assert any("few" in note for note in gain.notes)


def test_held_out_places_never_reach_the_optimizer(pairs: Path, spec: FinetuneSpec):
    records = read_records(pairs)
    sides = _sides(records, spec)
    tuner = Finetuner(sides, spec, load_state(spec.start), say=_quiet)
    tuner.run()
    assert set(tuner.standing.shown) == {pair.record.where for pair in sides.training}
    learned, checked, held = (
        {pair.record.place for pair in s} for s in (sides.training, sides.validation, sides.held_out)
    )
    assert learned and checked and held
    assert not learned & held and not learned & checked and not checked & held


def test_other_held_out_images_give_the_same_weights(pairs: Path, spec: FinetuneSpec, tmp_path: Path):
    records = read_records(pairs)
    finetune(records, spec, bundle=False, say=_quiet)
    held = {pair.record.where for pair in _sides(records, spec).held_out}
    for record in records:
        if record.where in held:
            cv2.imwrite(str(record.post), np.zeros((SIDE, SIDE, 3), np.uint8))
    again = replace(spec, output=tmp_path / "again")
    finetune(records, again, bundle=False, say=_quiet)
    first, second = (load_state(s.output / ADAPTED)["average"] for s in (spec, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_run_goes_on_to_the_same_weights(pairs: Path, spec: FinetuneSpec, tmp_path: Path):
    sides = _sides(read_records(pairs), spec)
    state = load_state(spec.start)
    spec = replace(spec, epochs=3, patience=9)
    whole = Finetuner(sides, spec, state, say=_quiet)
    whole.run()

    class Stop(Exception):
        pass

    stopped = replace(spec, output=tmp_path / "stopped")

    def stop_in_the_second(text: str) -> None:
        if text.startswith("epoch 2"):
            raise Stop

    with pytest.raises(Stop):
        Finetuner(sides, stopped, state, say=stop_in_the_second).run()
    said: list[str] = []
    resumed = Finetuner(sides, stopped, state, say=said.append)
    assert resumed.standing.epoch == 1 and "going on" in said[0]
    resumed.run()
    assert all(torch.equal(value, resumed.best[name]) for name, value in whole.best.items())
    assert resumed.standing == whole.standing


def test_other_options_do_not_continue_a_run(pairs: Path, spec: FinetuneSpec):
    records = read_records(pairs)
    finetune(records, spec, bundle=False, say=_quiet)
    with pytest.raises(JournalMismatchError, match="another output folder"):
        finetune(records, replace(spec, rate=1e-4), bundle=False, say=_quiet)


def test_batch_statistics_stay_and_the_log_has_every_epoch(pairs: Path, spec: FinetuneSpec):
    finetune(read_records(pairs), replace(spec, patience=9), bundle=False, say=_quiet)
    before, after = load_state(spec.start)["average"], load_state(spec.output / "last.pt")["model"]
    norms = [name for name in before if "running_" in name]
    assert norms and all(torch.equal(before[name], after[name]) for name in norms)
    assert not torch.equal(before["encoder.mask_head.weight"], after["encoder.mask_head.weight"])
    assert [json.loads(line)["epoch"] for line in (spec.output / LOG).read_text().splitlines()] == [1, 2]


def test_one_place_is_refused(tmp_path: Path, spec: FinetuneSpec):
    with pytest.raises(InputError, match="one place"):
        finetune(read_records(_write_pairs(tmp_path / "p", places=1)), spec, bundle=False, say=_quiet)


def test_two_places_are_enough(tmp_path: Path, spec: FinetuneSpec):
    gain = finetune(read_records(_write_pairs(tmp_path / "p", places=2)), spec, bundle=False, say=_quiet)
    assert any("one place to learn from" in note for note in gain.notes)
    assert gain.sides["held_out"]["places"] == 1


def test_a_start_that_is_not_there_is_named(pairs: Path, spec: FinetuneSpec, tmp_path: Path):
    with pytest.raises(InputError, match="--from"):
        finetune(read_records(pairs), replace(spec, start=tmp_path / "no.pt"), bundle=False, say=_quiet)


def test_a_start_of_another_shape_is_an_error_of_one_line(pairs: Path, spec: FinetuneSpec, tmp_path: Path):
    state = load_state(spec.start or Path())
    state["average"].pop("encoder.mask_head.weight")
    save_state(state, tmp_path / "other.pt")
    with pytest.raises(InputError, match="not those of this version") as caught:
        finetune(read_records(pairs), replace(spec, start=tmp_path / "other.pt"), bundle=False, say=_quiet)
    assert "\n" not in str(caught.value)


def test_the_bundle_can_be_written_and_started_from(pairs: Path, spec: FinetuneSpec, tmp_path: Path):
    gain = finetune(read_records(pairs), spec, say=_quiet)
    manifest = json.loads((spec.output / "bundle" / "rsccli.json").read_text())
    assert gain.bundle == str(spec.output / "bundle")
    assert "Adapted by its user" in manifest["training_data"] and manifest["thresholds"]["domain"] > 0
    second = replace(spec, start=spec.output / "bundle", output=tmp_path / "second", epochs=1)
    notes = finetune(read_records(pairs), second, bundle=False, say=_quiet).notes
    assert not any("no thresholds of its own" in note for note in notes)


def test_everything_that_is_shipped_is_read_and_what_older_bundles_lack_changes_nothing(tmp_path: Path):
    limits = {"changed": 0.6, "unchanged": 0.2, "keywords": [0.5] * K, "mask": 0.4, "domain": 2.0}
    scores = {"scale": 2.0, "bias": -0.5, "vectors": 0.1}
    old = Calibration(2.0, -0.5, 0.6, 0.2, (0.5,) * K, 0.4, 0.1, 2.0, 0.0, spot=0.0)
    each = {
        "keyword_scale": (2.0,) * K,
        "keyword_bias": (-1.0,) * K,
        "keyword_size": (-0.25,) * K,
        "keyword_spot": (0.5,) * K,
    }
    assert old.keyword_scale == (1.0,) * K and old.keyword_bias == old.keyword_size == old.keyword_spot == (0.0,) * K
    more = {"size": -0.7, "spot": 0.3, **each}
    later, new = more, replace(old, **more)
    for more, expected in (({}, old), (later, new)):
        content = {"calibration": scores | more, "thresholds": limits}
        (tmp_path / "rsccli.json").write_text(json.dumps(content))
        assert shipped_calibration(tmp_path / "weights.pt") == expected


def _scored(changed: np.ndarray, large: np.ndarray, seed: int = 0) -> Scored:
    """Views of 128 and 256 pixels; the large ones score higher by 5, changed or not."""
    count = len(changed)
    change = np.random.default_rng(seed).normal(0, 0.5, count) + 3.0 * (changed == 1) + 5.0 * large
    masks = [np.zeros((4, 4), np.float32)] * count
    keywords, looks = np.zeros((count, K)), np.zeros((count, 2, 1), np.float32)
    pixels = np.where(large, 256.0, 128.0) ** 2
    scores = ScoredPairs(change, np.zeros(count), keywords, keywords, np.ones((count, 2)), masks, looks, pixels)
    nobody = np.zeros(count, bool)
    return Scored(scores, changed, keywords > 0, nobody, nobody, (None,) * count)


def test_the_weight_of_the_size_is_the_shipped_one_and_tells_views_of_both_sizes_apart():
    """What a user's few views could teach of it is left alone."""
    number = np.arange(400)
    # Of every fourth view nobody knows.
    changed = np.where(number % 4 == 0, np.nan, number % 4 == 1)
    weights: list[float] = []
    for size, least, most in ((-5.0, 0.98, 1.0), (0.0, 0.0, 0.9)):
        fitted = recalibrated(Calibration(size=size), _scored(changed, number % 8 < 4))
        assert fitted.size == size
        gain = figures(_scored(changed, number % 8 < 4, seed=1), fitted)
        assert gain.auc is not None and least <= gain.auc <= most
        assert gain.accuracy is not None and (gain.accuracy > 0.95) == (size < 0.0)
        weights.append(fitted.scale)
    assert weights[0] > 2 * weights[1]


def test_views_of_one_size_are_told_apart_at_any_weight_of_the_size():
    number = np.arange(400)
    views, others = (_scored((number % 2).astype(float), number >= 0, seed) for seed in (0, 1))
    for size in (0.0, -5.0):
        fitted = recalibrated(Calibration(size=size), views)
        gain = figures(others, fitted)
        assert fitted.size == size and gain.accuracy is not None and gain.accuracy > 0.95


@pytest.mark.parametrize("scale", [3.0, 0.0])
def test_keywords_that_enough_pairs_have_are_fitted_to_them(scale: float):
    """Pairs with the keyword stand at a logit of 2, others at 0; too few have the second keyword.

    A shipped keyword that follows its spot alone (scale 0) is heard all the same, once its logit has learnt something.
    """
    number = np.arange(200)
    keywords = np.zeros((200, K))
    keywords[:, :2] = np.random.default_rng(0).uniform(-0.1, 0.1, (200, 2))
    has = np.zeros((200, K), bool)
    has[number % 4 == 0, 0], has[:2, 1] = True, True
    keywords[has] += 2.0
    told = _scored((number % 2).astype(float), number < 100)
    every = np.ones(200, bool)
    told = replace(told, scores=replace(told.scores, keywords=keywords), keywords=has, named=every, complete=every)
    start = Calibration(keyword_scale=(scale,) * K, keyword_bias=(-4.0,) * K, keywords=(0.9,) * K)
    fitted = recalibrated(start, told)
    assert fitted.keyword_scale[0] > 0.5 and fitted.keyword_spot[0] >= 0.0
    # Half of what has it would stand at a logit of 1.
    middle = 1 / (1 + np.exp(-(fitted.keyword_scale[0] * 1.0 + fitted.keyword_bias[0] + _rest(told, fitted))))
    assert fitted.keywords[0] == pytest.approx(middle, abs=0.1)
    for part in ("keyword_scale", "keyword_spot", "keyword_bias", "keywords"):
        assert getattr(fitted, part)[1:] == getattr(start, part)[1:], part
    gain = figures(replace(told, keywords=has & (np.arange(K) == 0)), fitted)
    assert gain.keyword_recall == 1.0
    # Another bias silences all of them.
    assert figures(told, replace(fitted, keyword_bias=(-20.0,) * K)).keyword_recall == 0.0


def _rest(told: Scored, fitted: Calibration) -> float:
    """What spot and size add to the log-odds of the first keyword, alike for all pairs."""
    spots, octaves = told.scores.keyword_spots[0, 0], told.scores.octaves[0]
    return float(fitted.keyword_spot[0] * spots + fitted.keyword_size[0] * octaves)


def test_the_weight_of_the_size_stays_where_one_class_is_missing():
    start = Calibration(scale=2.0, size=-0.7)
    assert recalibrated(start, _scored(np.ones(40), np.arange(40) < 20)) == start


def test_polygons_land_in_the_mask_and_follow_turns(pairs: Path):
    pair = read_user_pair(read_records(pairs)[0], 0.6)
    x, y, w, h = HOUSE
    truth = np.zeros((SIDE, SIDE), bool)
    truth[y : y + h, x : x + w] = True
    assert pair.mask is not None and (pair.mask == truth).all()
    (view,) = fixed_views(pair, 1.0)
    batch = batch_of([view], [True])
    assert batch.mask[0, 0].sum() == w * h / 16 and batch.mask[0, 0, y // 4, x // 4 + 1] == 1
    assert set(batch.classes[batch.mask[:, 0] == 1].tolist()) == {KEYWORDS.index("new building")}
    rng = np.random.default_rng(0)
    for _ in range(6):
        seen = training_view(pair, rng, 1.0)
        bright = np.where(seen.keywords == (KEYWORDS.index("new building"),), seen.post, seen.pre).mean(0) > 190
        assert (bright & seen.mask).sum() > 0.8 * seen.mask.sum() and (bright & ~seen.mask).sum() < 0.05 * SIDE**2


def test_dates_are_swapped_with_their_keyword(pairs: Path):
    pair = read_user_pair(read_records(pairs)[0], 0.6)
    rng = np.random.default_rng(1)
    seen = {training_view(pair, rng, 1.0).keywords for _ in range(20)}
    assert seen == {(KEYWORDS.index("new building"),), (KEYWORDS.index("building removed"),)}


def _large(pairs: Path, mask: bool) -> UserPair:
    pair = read_user_pair(read_records(pairs)[0], 0.6)
    pixels = np.full((3, 600, 500), 90, np.uint8)
    drawn = np.zeros((600, 500), bool)
    drawn[300:340, 20:80] = True
    return replace(pair, pre=pixels, post=pixels, valid=np.ones((600, 500), bool), mask=drawn if mask else None)


def test_parts_of_a_large_pair_have_labels_of_their_own(pairs: Path):
    views = fixed_views(_large(pairs, True), 1.0)
    assert [view.changed for view in views].count(True) == 1 and False in [view.changed for view in views]
    assert all(view.gsd_m == 0.6 and (view.changed or view.keywords == ()) for view in views)
    assert sum(int(view.mask.sum()) for view in views) == 40 * 60
    assert sum(int(view.valid.sum()) for view in views) >= 0.95 * 600 * 500


def test_a_large_pair_with_a_label_for_the_whole_is_seen_whole(pairs: Path):
    (view,) = fixed_views(_large(pairs, False), 1.0)
    assert view.changed and view.valid.shape == (256, 256) and view.gsd_m == pytest.approx(0.6 * 600 / 256)
    assert not view.known.any()


@pytest.mark.parametrize(
    ("caption", "changed", "words"),
    [
        ("Many villas are built beside the forest.", True, ("new house",)),
        ("There is no difference.", False, ()),
        ("The scene is the same as before.", False, ()),
        ("The area was inundated and a landslide came down.", True, ("flood", "mud")),
        ("Trees have been felled for a parking lot.", True, ("parking lot", "tree loss")),
        ("A view of some town.", None, ()),
    ],
)
def test_captions_tell_change_and_keywords(caption: str, changed: bool | None, words: tuple[str, ...]):
    told, named = caption_facts([caption])
    assert told == changed
    assert {KEYWORDS[index] for index in named} == set(words)


def test_what_a_caption_leaves_out_is_unknown_and_what_keywords_leave_out_is_absent(pairs: Path):
    record = read_records(pairs)[0]
    captioned = replace(record, keywords=None, status=None, polygons=None, captions=("Solar panels were installed.",))
    assert record_labels(captioned) == (True, (KEYWORDS.index("solar panels"),), False)
    views = [fixed_views(read_user_pair(r, 0.6), 1.0)[0] for r in (captioned, record)]
    batch = batch_of(views, [False, True])
    assert batch.keywords[0].nan_to_num(7).unique().tolist() == [1, 7]
    assert batch.keywords[1].unique().tolist() == [0, 1]
    assert batch.known[0].sum() == 0


def test_a_class_alone_is_enough_and_synonyms_are_understood(pairs: Path):
    record: PairRecord = replace(read_records(pairs)[0], keywords=None, polygons=None)
    assert record_labels(record) == (True, None, True)
    assert record_labels(replace(record, status="unsure"))[0] is None
    assert keyword_of("landslide") == KEYWORDS.index("mud") and keyword_of("spaceship landing") is None


def test_only_changed_pairs_get_a_warning(pairs: Path, spec: FinetuneSpec):
    records = [record for record in read_records(pairs) if record.status == "changed"]
    notes: list[str] = []
    sides: Sides = _sides(records, spec, notes)
    assert any("no unchanged pair" in note for note in notes)
    assert sides.numbers()["training"]["unchanged"] == 0
