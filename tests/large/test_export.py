"""A checkpoint to a bundle: what it holds, when it is refused, and that nothing but a whole one gets its name."""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from command import Made, run_cli
from rasters import make_raster
from safetensors.torch import load_file, save_file

from rsccli.errors import BundleError, DeviceError, ModelError, OutputError, UsageProblem
from rsccli.models.bundle import is_bundle
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.families.qwen2_vl import Qwen2VL
from rsccli.models.large import families
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.large.export import ExportJob, export, plan_export
from rsccli.models.large.family import DecoderExport
from rsccli.models.large.parity import Parity
from rsccli.models.large.revision import revision_of
from rsccli.models.large.sample import sample_pairs
from rsccli.models.large.stac import item
from rsccli.models.small.reexport import reexport

STEPS = 16


def write_bundle(checkpoint: Path, output: Path, **options: Any) -> list[str]:
    """Export from Python; the lines that were told."""
    lines: list[str] = []
    export(plan_export(ExportJob(str(checkpoint), output, **options)), sample_pairs(), lines.append)
    return lines


def opened(bundle: Path, **options: Any) -> LargeCaptioner:
    given: dict[str, Any] = {"device": "cpu", "threads": 1, "max_new_tokens": STEPS, **options}
    return LargeFactory(bundle).open(CaptionerOptions(**given))


def tokens_of(bundle: Path) -> list[tuple[int, ...]]:
    captioner = opened(bundle, repetition_guard=False)
    try:
        return [each.tokens for each in captioner.decode(captioner.see(sample_pairs()), STEPS)]
    finally:
        captioner.close()


# ---- what a bundle holds ----


def test_the_manifest_tells_what_was_done(made: Made) -> None:
    manifest = made.manifest
    assert (manifest["format"], manifest["family"], manifest["name"]) == (
        "rsccli-bundle/1",
        "qwen2-vl",
        "tiny-vl-bundle",
    )
    assert (manifest["dtype"], manifest["opset"], manifest["prompt"], manifest["axes"]) == ("fp32", 20, "naive", 3)
    plan = plan_export(ExportJob(str(made.checkpoint), made.bundle.parent / "elsewhere"))
    assert manifest["source"] == {"id": made.checkpoint.name, "revision": revision_of(plan.checkpoint)}
    config = json.loads((made.checkpoint / "config.json").read_text())
    assert manifest["tokens"] == {
        "ends": sorted([config["eos_token_id"], config["bos_token_id"]]),
        "pad": config["bos_token_id"],
        "image": config["image_token_id"],
        "max_new_tokens": 256,
        "repetition_penalty": 1.0,
    }
    shape = {"layers": 2, "heads": 2, "head_dim": 16, "width": 64, "vocab": config["vocab_size"], "dtype": "fp32"}
    assert manifest["decoder"] == shape
    parity = manifest["parity"]
    assert (parity["pairs"], parity["same_prompts"], parity["same_captions"]) == (3, 3, 3)
    assert parity["tokens"] >= 24 and 0 <= parity["logits_relative"] < 2e-4
    assert len(manifest["limits"]) >= 2 and "not measured" in " ".join(manifest["limits"])
    assert manifest["licence"].startswith("unknown")


def test_hashes_hold_and_nothing_else_is_there(made: Made) -> None:
    bundle = LargeFactory(made.bundle).bundle("full")
    assert bundle.revision == f"{made.manifest['version']}+{bundle.digest[:12]}"
    assert {path.name for path in made.bundle.iterdir()} == {*made.manifest["files"], "rsccli.json"}
    assert {"encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json", "stac-item.json"} < {
        *made.manifest["files"]
    }
    for name in ("encoder", "embed", "decoder"):
        onnx.checker.check_model(str(made.bundle / f"{name}.onnx"), full_check=True)


def test_nothing_is_left_beside(made: Made) -> None:
    assert [path.name for path in made.bundle.parent.iterdir()] == [made.bundle.name]


def check_item(document: dict[str, Any], files: dict[str, Any]) -> None:
    """The rules of STAC 1.1, of the extension for models 1.4 and of the one for files 2.1 that concern an item."""
    assert document["type"] == "Feature" and document["stac_version"] == "1.1.0" and document["id"]
    assert document["geometry"] is None and "bbox" not in document and document["links"] == []
    extensions = document["stac_extensions"]
    assert [
        re.fullmatch(r"https://stac-extensions\.github\.io/(mlm|file)/v[\d.]+/schema\.json", url) for url in extensions
    ]
    properties = document["properties"]
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert properties["datetime"] is None
    assert all(re.fullmatch(time, properties[name]) for name in ("start_datetime", "end_datetime"))
    assert re.fullmatch(r"[\w.+-]+", properties["license"])
    known = (
        "name architecture tasks framework framework_version memory_size total_parameters pretrained pretrained_source "
        "batch_size_suggestion accelerator accelerator_constrained accelerator_summary accelerator_count input output "
        "hyperparameters"
    ).split()
    assert {name for name in properties if name.startswith("mlm:")} <= {f"mlm:{name}" for name in known}
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", properties["mlm:name"])
    assert properties["mlm:architecture"] and properties["mlm:framework"] == "ONNX"
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties.get("mlm:framework_version", "1.0.0"))
    assert properties["mlm:tasks"] == ["image-captioning"] and properties["mlm:pretrained"] is True
    assert isinstance(properties["mlm:pretrained_source"], str) and properties["mlm:accelerator"] is None
    assert all(properties[name] > 0 for name in ("mlm:memory_size", "mlm:total_parameters"))
    types = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 other".split()
    (given,), (said,) = properties["mlm:input"], properties["mlm:output"]
    assert given["name"] and said["name"] and said["tasks"] == ["image-captioning"]
    for structure in (given["input"], said["result"]):
        assert len(structure["shape"]) == len(structure["dim_order"]) == len(set(structure["dim_order"]))
        assert all(isinstance(size, int) and (size > 0 or size == -1) for size in structure["shape"])
        assert all(re.fullmatch(r"[a-z-_]+", name) for name in structure["dim_order"])
        assert structure["data_type"] in types
    # Bands that a model names must be told of; STAC 1.1 does that in one list.
    assert given["bands"] == [band["name"] for band in properties["bands"]] == ["red", "green", "blue"]
    assert {"value_scaling", "resize_type"} <= set(given) <= {"name", "bands", "input", "value_scaling", "resize_type"}
    assets = document["assets"]
    assert assets.keys() == files.keys() - {"stac-item.json"}
    for name, asset in assets.items():
        assert asset["href"] == f"./{name}" and asset["roles"] and asset["type"].startswith("application/")
        assert (asset["file:size"], asset["file:checksum"]) == (files[name]["bytes"], "1220" + files[name]["sha256"])
        assert asset.get("data_type", "other") in types
        assert ("mlm:model" in asset["roles"]) == ("mlm:artifact_type" in asset) == name.endswith(".onnx")


def test_the_catalogue_item(made: Made) -> None:
    text = (made.bundle / "stac-item.json").read_text(encoding="utf-8")
    document = json.loads(text)
    check_item(document, made.manifest["files"])
    assert document["id"] == document["properties"]["mlm:name"] == "tiny-vl-bundle"
    config = json.loads((made.checkpoint / "config.json").read_text())
    weights = load_file(made.checkpoint / "model.safetensors")
    assert config["tie_word_embeddings"]  # so each weight is there once
    assert document["properties"]["mlm:total_parameters"] == sum(weight.numel() for weight in weights.values())
    decoder = (made.bundle / "decoder.onnx").read_bytes()
    assert document["assets"]["decoder.onnx"]["file:checksum"] == "1220" + hashlib.sha256(decoder).hexdigest()


@pytest.mark.parametrize("name", ["7b", "a", "x/y", "Qwen 2.5 (mine)", "größe", "..", "-_-"])
@pytest.mark.parametrize(("dtype", "stored"), [("bf16", "other"), ("int8", "int8"), ("fp16", "float16")])
def test_the_catalogue_item_of_any_name_and_precision(made: Made, name: str, dtype: str, stored: str) -> None:
    files = {**made.manifest["files"], "decoder.onnx.data": {"sha256": "0" * 64, "bytes": 9}}
    del files["stac-item.json"]
    document = item({**made.manifest, "name": name, "dtype": dtype, "files": files}, 9)
    check_item(document, files)
    assert document["assets"]["decoder.onnx"]["data_type"] == stored
    assert document["assets"]["decoder.onnx.data"]["roles"] == ["mlm:weights"]


def test_the_licence_is_that_of_the_card(light: Path, tmp_path: Path) -> None:
    from rsccli.models.large.export import licence_of

    assert licence_of(light, None).startswith("unknown") and licence_of(light, "MIT") == "MIT"
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    assert licence_of(tmp_path, "MIT") == "apache-2.0"
    (tmp_path / "README.md").write_text("---\nlicense:\n---\n")
    assert licence_of(tmp_path, "MIT") == "MIT"


# ---- damage afterwards ----


@pytest.mark.parametrize(
    "name", ["encoder.onnx", "embed.onnx", "decoder.onnx", "tokenizer.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_file_damaged_afterwards_is_named(made: Made, tmp_path: Path, name: str, damage: str) -> None:
    spoiled = Path(shutil.copytree(made.bundle, tmp_path / "spoiled"))
    content = bytearray((spoiled / name).read_bytes())
    if damage == "gone":
        (spoiled / name).unlink()
    else:
        content[len(content) // 2] ^= 1
        (spoiled / name).write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    with pytest.raises(BundleError, match=rf"{name} (is missing|has \d+ bytes|is not the file)") as caught:
        opened(spoiled)
    assert caught.value.exit_code == 4 and "again" in str(caught.value)


def test_graphs_of_another_family_are_refused(made: Made, tmp_path: Path) -> None:
    """A manifest that fits its files, but not their graphs."""
    mixed = Path(shutil.copytree(made.bundle, tmp_path / "mixed"))
    manifest = made.manifest
    manifest["decoder"]["layers"] = 3
    (mixed / "rsccli.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"decoder\.onnx.*past_key_values\.2\.key"):
        opened(mixed)


# ---- the same again, and over one that is there ----


@pytest.fixture(scope="module")
def again(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same export in this process, over a bundle with other words in its manifest."""
    bundle = Path(shutil.copytree(made.bundle, tmp_path_factory.mktemp("again") / made.bundle.name))
    (bundle / "rsccli.json").write_text(json.dumps({**made.manifest, "licence": "of before"}))
    (bundle / "more.txt").write_text("not of the new one")
    lines = write_bundle(made.checkpoint, bundle, overwrite=True)
    return Made(made.checkpoint, bundle, subprocess.CompletedProcess([], 0, "", "\n".join(lines)))


@pytest.mark.slow
def test_the_same_checkpoint_gives_the_same_bundle(made: Made, again: Made) -> None:
    assert again.manifest == made.manifest
    first, second = (LargeFactory(each.bundle).bundle("full") for each in (made, again))
    assert first.revision == second.revision


@pytest.mark.slow
def test_overwriting_leaves_nothing_of_before(again: Made) -> None:
    assert not (again.bundle / "more.txt").exists()
    assert [path.name for path in again.bundle.parent.iterdir()] == [again.bundle.name]


def test_a_bundle_that_is_there_stays_untouched(light: Path, made: Made, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(made.bundle, tmp_path / "there"))
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in bundle.iterdir()}
    done = run_cli("export-onnx", light, "-o", bundle)
    assert done.returncode == 3 and done.stdout == ""
    assert f"{bundle} exists already: give --overwrite" in done.stderr
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in bundle.iterdir()} == before


def test_only_bundles_are_overwritten(light: Path, tmp_path: Path) -> None:
    """Whoever names a folder of something else by mistake keeps it."""
    home = tmp_path / "home"
    home.mkdir()
    job = ExportJob(str(light), home, overwrite=True)
    assert plan_export(job).family.name == "qwen2-vl"  # an empty folder is no loss
    (home / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="is no bundle: --overwrite replaces bundles alone"):
        plan_export(job)
    with pytest.raises(OutputError, match="is no bundle"):
        plan_export(replace(job, output=home / "thesis.tex"))
    with pytest.raises(OutputError, match="is no bundle"):
        reexport(home, overwrite=True)
    assert (home / "thesis.tex").read_text() == "years of work"


# ---- before the work starts ----


def limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def start_cli(*arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rsccli", "export-onnx", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def test_too_little_memory_is_told_before_weights_are_read(light: Path, tmp_path: Path) -> None:
    process = start_cli(light, "-o", tmp_path / "bundle", preexec_fn=limited(resource.RLIMIT_AS, 10**9))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 4 and out == ""
    assert re.search(
        r"takes about 1\.2 GB of memory and 0\.\d GB are free: use a machine with more, or --dtype fp16", err
    )
    assert "reading" not in err and list(tmp_path.iterdir()) == []


def in_mount(options: str, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str] | None:
    """Export with a small file system at a folder, seen by that process alone; None where nobody may mount."""
    folder.mkdir()
    script = 'mount -t tmpfs -o "$0" none "$1" && shift && echo mounted && exec "$@"'
    for how in (["--mount"], ["--mount", "--user", "--map-root-user"]):
        command = [sys.executable, "-m", "rsccli", "export-onnx", *map(str, arguments)]
        try:
            done = subprocess.run(
                ["unshare", *how, "sh", "-c", script, options, str(folder), *command],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        except FileNotFoundError:
            return None
        if done.stdout.startswith("mounted\n"):
            return done
    return None


def test_too_little_disk_is_told_before_weights_are_read(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    done = in_mount("size=256k", disk, checkpoint, "-o", disk / "deep" / "bundle")
    if done is not None:
        assert done.returncode == 3 and "reading" not in done.stderr
        assert f"{disk} has 0.0 GB free: make room, or name another disk" in done.stderr
        return
    # Whoever may not mount has no small disk at hand: one is made up.
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(2**18, 0, 2**18))
    with pytest.raises(OutputError, match=f"{disk} has 0.0 GB free: make room"):
        plan_export(ExportJob(str(checkpoint), disk / "deep" / "bundle"))


def test_a_folder_that_cannot_be_written_is_told_before_weights_are_read(light: Path, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    done = in_mount("ro", fixed, light, "-o", fixed / "bundle")
    if done is None:
        fixed.chmod(0o500)
        done = run_cli("export-onnx", light, "-o", fixed / "bundle")
    assert done.returncode == 3, done.stderr
    assert f"cannot write to {fixed}: name a folder that can be written" in done.stderr and "reading" not in done.stderr


def test_a_parent_that_is_a_file(light: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    lines: list[str] = []
    with pytest.raises(OutputError, match=r"cannot write to .*file"):
        export(plan_export(ExportJob(str(light), tmp_path / "file" / "bundle")), sample_pairs(), lines.append)
    assert lines == [] and (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"dtype": "fp8"}, "--dtype"),
        ({"quantize": "int4"}, "--quantize"),
        ({"quantize": "int8", "dtype": "fp16"}, "--quantize int8 starts from fp32"),
        ({"opset": 17}, "--opset 17: give 18 to 23"),
        ({"opset": 24}, "--opset 24"),
        ({"prompt": "prompt.txt"}, "--prompt-regime"),
        ({"max_new_tokens": 0}, "--max-new-tokens"),
    ],
)
def test_options_that_make_no_sense(light: Path, tmp_path: Path, options: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        ExportJob(str(light), tmp_path / "bundle", **options)
    assert part in str(caught.value) and caught.value.exit_code == 2


def test_crops_where_the_family_has_no_choice(light: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="Qwen2-VL has no choice there"):
        plan_export(ExportJob(str(light), tmp_path / "bundle", crops=True))


# ---- interrupted ----


def wait_for_line(process: subprocess.Popen[str], part: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if part in line:
            return
    raise AssertionError(f"never said {part!r}: {seen}")


@pytest.mark.parametrize(
    ("number", "when"),
    [
        (signal.SIGKILL, "writing the decoder"),
        pytest.param(signal.SIGINT, "the encoder", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_export_leaves_no_bundle(light: Path, tmp_path: Path, number: signal.Signals, when: str) -> None:
    output = tmp_path / "bundle"
    process = start_cli(light, "-o", output)
    wait_for_line(process, when)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and out == ""
    assert not output.exists()
    left = list(tmp_path.iterdir())
    # A kill leaves a hidden folder that no one takes for a bundle; an interrupt leaves nothing.
    assert len(left) == (number is signal.SIGKILL)
    assert all(path.name.startswith(".bundle.") and not is_bundle(path) for path in left)


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_nothing(light: Path, tmp_path: Path) -> None:
    """A limit on file size gives the same error as a full disk: a write that fails in its middle."""
    output = tmp_path / "bundle"
    process = start_cli(light, "-o", output, preexec_fn=limited(resource.RLIMIT_FSIZE, 100_000))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "writing the encoder" in err and f"{output}: cannot be written" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


# ---- graphs that say something else ----


class Forgets(torch.nn.Module):
    """A language model that knows when a token comes, but not where in its image it lies."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(
        self, embeds: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, past: Any, further: Any
    ) -> Any:
        return self.inner(embeds, mask, positions[:, :1].expand_as(positions), past, further)


class Forgetful(Qwen2VL):
    name = "forgetful"
    title = "Forgetful"

    def decoder(self, model: Any) -> DecoderExport:
        whole = super().decoder(model)
        return replace(whole, module=Forgets(whole.module))


def test_graphs_that_differ_from_pytorch_are_refused(
    light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "_registered", {})
    families.register_family("forgetful", Forgetful)
    lines: list[str] = []
    plan = plan_export(ExportJob(str(light), tmp_path / "bundle"))
    assert plan.family.name == "forgetful"
    with pytest.raises(BundleError, match=r"differ from PyTorch: .*nothing was written") as caught:
        export(plan, sample_pairs(), lines.append)
    assert caught.value.exit_code == 4 and "comparing with PyTorch" in lines[-1]
    # The prompts are the same; what is said of them is not.
    assert "same_prompts=3" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_counts_as_the_same() -> None:
    same = Parity(pairs=3, same_prompts=3, same_captions=3, tokens=72, logits=1e-6, device="CPU")
    assert same.good("fp32") and same.good("fp16") and same.good("bf16")
    assert not replace(same, same_prompts=2).good("fp16") and not replace(same, logits=0.5).good("bf16")
    # Half precision rounds differently here and there: tokens may differ, logits hardly.
    rounded = replace(same, same_captions=2, logits=1e-2)
    assert rounded.good("fp16") and not rounded.good("fp32") and not replace(rounded, logits=1e-6).good("fp32")
    assert not replace(same, logits=float("nan")).good("fp32")


# ---- other precisions and operators ----


@pytest.fixture(scope="module")
def half(light: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """In fp16, to be asked with counts by default."""
    bundle = tmp_path_factory.mktemp("fp16") / "half"
    lines = write_bundle(light, bundle, dtype="fp16", prompt="textual", max_new_tokens=9)
    return Made(light, bundle, subprocess.CompletedProcess([], 0, "", "\n".join(lines)))


@pytest.mark.slow
def test_half_precision_captions_on_the_cpu(half: Made) -> None:
    manifest = half.manifest
    assert (manifest["dtype"], manifest["decoder"]["dtype"]) == ("fp16", "fp16")
    assert manifest["parity"]["same_prompts"] == 3 and 0 < manifest["parity"]["logits_relative"] < 2e-2
    assert onnx.load(half.bundle / "embed.onnx").graph.initializer[0].data_type == onnx.TensorProto.FLOAT16
    captions = LargeFactory(half.bundle).open(CaptionerOptions(device="cpu", prompt="naive")).caption(sample_pairs())
    assert len({each.text for each in captions}) > 1
    assert all(each.reason == "the caption was cut at 9 tokens" and (each.logprob or 0) < 0 for each in captions)


@pytest.mark.slow
def test_a_bundle_has_its_own_question(half: Made) -> None:
    assert LargeFactory(half.bundle).describe(CaptionerOptions()).prompt == "textual"
    assert LargeFactory(half.bundle).describe(CaptionerOptions(prompt="visual")).prompt == "visual"
    with pytest.raises(UsageProblem, match="the textual prompt needs counts"):
        opened(half.bundle).caption(sample_pairs())
    # Whoever asks their own question needs none.
    ((said, *_),) = opened(half.bundle).answer(sample_pairs(), ["Is there water?"])
    assert said.text


@pytest.mark.slow
def test_another_precision_than_the_bundles_is_refused(half: Made) -> None:
    with pytest.raises(ModelError, match="holds fp16 weights, not fp32"):
        opened(half.bundle, dtype="fp32")


@pytest.mark.slow
def test_bf16_is_not_compared_and_not_run_on_a_cpu(light: Path, tmp_path: Path) -> None:
    lines = write_bundle(light, tmp_path / "bf16", dtype="bf16", name="2b")
    assert any("not compared" in line and "bf16" in line for line in lines)
    manifest = json.loads((tmp_path / "bf16" / "rsccli.json").read_text())
    assert manifest["parity"] == {"compared_with": None, "reason": "no device here runs bf16"}
    assert (manifest["name"], manifest["dtype"], manifest["decoder"]["dtype"]) == ("2b", "bf16", "bf16")
    check_item(json.loads((tmp_path / "bf16" / "stac-item.json").read_text()), manifest["files"])
    with pytest.raises(DeviceError, match="bf16 weights, which ONNX Runtime's CPU provider does not run"):
        opened(tmp_path / "bf16")
    pre, post = (make_raster(tmp_path / f"{name}_2020-01-01.tif", size=(64, 64)) for name in ("pre", "post"))
    options = ("--device", "cpu", "--allow-same", "--no-report")
    done = run_cli("caption", pre, post, "-o", tmp_path / "out.geojson", "-m", tmp_path / "bf16", *options)
    assert done.returncode == 4 and "give --device cuda, or export it as fp32" in done.stderr
    assert not (tmp_path / "out.geojson").exists()


@pytest.fixture(scope="module")
def opset23(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    bundle = tmp_path_factory.mktemp("opset") / "newer"
    done = run_cli("export-onnx", checkpoint, "-o", bundle, "--opset", "23", "--no-verify", "--json", "--quiet")
    return Made(checkpoint, bundle, done)


@pytest.mark.slow
def test_a_newer_opset_says_the_same(made: Made, opset23: Made) -> None:
    assert opset23.done.returncode == 0, opset23.done.stderr
    for name in ("encoder", "embed", "decoder"):
        graph = onnx.load(opset23.bundle / f"{name}.onnx")
        assert [each.version for each in graph.opset_import if each.domain == ""] == [23]
    assert any(node.op_type == "Attention" for node in graph.graph.node)
    assert tokens_of(opset23.bundle) == tokens_of(made.bundle)


@pytest.mark.slow
def test_without_a_comparison_nothing_is_claimed(opset23: Made) -> None:
    assert opset23.manifest["parity"] == {}
    assert LargeFactory(opset23.bundle).bundle("full").manifest.parity == {}


@pytest.mark.slow
def test_the_manifest_on_stdout_and_nothing_else(opset23: Made) -> None:
    assert json.loads(opset23.done.stdout) == opset23.manifest
    assert opset23.done.stderr == ""


# ---- 8 bits ----


def with_outlier(source: Path, folder: Path) -> Path:
    """The same function, but with one activation 3000 times as large as the others, as large models have them."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    layer = "model.layers.0."
    for norm, following in (
        ("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
    ):
        weights[f"{layer}{norm}.weight"][5] *= 3000
        for name in following:
            weights[f"{layer}{name}.weight"][:, 5] /= 3000
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.slow
def test_8_bit_weights_that_say_nearly_the_same(light: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "int8"
    lines = write_bundle(light, bundle, quantize="int8")
    manifest = json.loads((bundle / "rsccli.json").read_text())
    assert (manifest["dtype"], manifest["decoder"]["dtype"]) == ("int8", "fp32")
    found = manifest["parity"]["int8"]
    assert manifest["parity"]["same_captions"] == 3  # of the float weights, before
    assert 0.99 <= found["decoder_cosine"] < 1 and 0.9 <= found["decoder_agreement"] <= 1 and found["steps"] >= 24
    operators = {node.op_type for node in onnx.load(bundle / "decoder.onnx").graph.node}
    assert "MatMulInteger" in operators and {path.name for path in bundle.iterdir()} == {
        *manifest["files"],
        "rsccli.json",
    }
    LargeFactory(bundle).bundle("full")
    captions = opened(bundle).caption(sample_pairs())
    assert len({each.text for each in captions}) > 1 and all(each.logprob is not None for each in captions)
    assert LargeFactory(bundle).describe(CaptionerOptions()).dtype == "int8"
    # Neither advice of a library nor a float copy of the decoder is left over.
    assert "pre-processing" not in capfd.readouterr().err and any("8 bits" in line for line in lines)


@pytest.mark.slow
def test_8_bit_weights_that_say_something_else_are_refused(light: Path, tmp_path: Path) -> None:
    checkpoint = with_outlier(light, tmp_path / "checkpoint")
    lines: list[str] = []
    plan = plan_export(ExportJob(str(checkpoint), tmp_path / "out" / "int8", quantize="int8"))
    with pytest.raises(BundleError, match=r"leave --quantize out; nothing was written"):
        export(plan, sample_pairs(), lines.append)
    # The float graphs were as they should be, and the layer before the logits was tried in float, too.
    assert sum("8 bits" in line for line in lines) == 2 and any("same tokens on 3 of 3" in line for line in lines)
    assert list((tmp_path / "out").iterdir()) == []
