"""A bundle with 8-bit convolutions, made from an fp32 bundle and generated pairs.

Static quantisation of the encoder, per channel, ranges from generated training pairs. Everything that is not a
convolution stays fp32: difference maps, pooling and log-odds are where small differences decide. So does the decoder:
with 8 bits in both more than half of the sentences had other words, and the encoder is where the time goes. Whether the
result is worth shipping, the model card's tables say.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsccli.datasets.backgrounds import read_sources
from rsccli.datasets.generated import generate
from rsccli.errors import OutputError
from rsccli.models.bundle import DECODER, EMBED, ENCODER, TOKENIZER, open_bundle
from rsccli.models.manifest import MANIFEST_NAME
from rsccli.training.batches import collate
from rsccli.training.polish import FIRST_INDEX

CALIBRATION_PAIRS = 64
AT_ONCE = 4
SIDE = 256


class _Pairs:
    """Calibration data as onnxruntime's quantiser asks for it."""

    def __init__(self, data: Path, seed: int, pairs: int) -> None:
        self._stream = _feeds(data, seed, pairs)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._stream, None)


def _feeds(data: Path, seed: int, pairs: int) -> Iterator[dict[str, Any]]:
    sources = read_sources(data, "train")
    for start in range(0, pairs, AT_ONCE):
        batch = collate([generate(sources, seed, FIRST_INDEX - 5000 - start - i, SIDE) for i in range(AT_ONCE)])
        yield {name: getattr(batch, name).numpy() for name in ("pre", "post", "valid", "gsd")}


def quantise_bundle(
    source: Path,
    folder: Path,
    data: Path,
    *,
    seed: int = 1,
    pairs: int = CALIBRATION_PAIRS,
    overwrite: bool = False,
) -> Path:
    """Write an int8 copy of an fp32 bundle.

    Args:
        source: the fp32 bundle. folder: of the bundle to make. data: folder with the imagery.
        seed: of the pairs that ranges are taken from. pairs: how many of them.

    Raises:
        BundleError: the source is damaged. OutputError: ``folder`` is there already, or cannot be written.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    bundle = open_bundle(source, "full")
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists already; pass --overwrite to replace it, or name another folder")
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        prepared = work / "prepared.onnx"
        quant_pre_process(str(bundle.path(ENCODER)), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared))
        heads = [node.name for node in graph.graph.node if node.op_type == "Conv" and _is_head(node)]
        quantize_static(
            str(prepared),
            str(work / ENCODER),
            _Pairs(data, seed, pairs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=heads,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        prepared.unlink()
        for name in (DECODER, EMBED, TOKENIZER):
            shutil.copy(bundle.path(name), work / name)
        content = json.loads((source / MANIFEST_NAME).read_text())
        content["dtype"] = "int8"
        content["name"] = f"{content['name']}-int8"
        content["parity"] = {"compared": "not measured: int8 is judged by the model card's tables"}
        content["files"] = {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in sorted(work.iterdir())
        }
        (work / MANIFEST_NAME).write_text(json.dumps(content, indent=1) + "\n")
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _is_head(node: Any) -> bool:  # noqa: ANN401 - onnx's node has no type here
    """The convolutions whose outputs are logits."""
    return any(part in node.name for part in ("mask_head", "class_head", "cloud_head"))
