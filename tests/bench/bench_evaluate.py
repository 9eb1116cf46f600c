"""``rsccli evaluate`` on 10,000 predictions with 5 references, against the usual loop over pycocoevalcap's scorers.

The references are LEVIR-CC's (train and validation splits, some pairs twice to make 10,000). The predictions are human
sentences of another pair with the same flag: no model wrote them, and they repeat themselves less than a model does.

Usage: python tests/bench/bench_evaluate.py [--pairs 10000] [--repeat 3] [--once]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import common

CAPTIONS = common.SHARED / "captions" / "levir_cc_train_val.json"
NO_DIFFERENCE = "there is no difference"
# What a script does: the four scorers of pycocoevalcap over dictionaries, as the repositories of the field call them.
LOOP = """
import contextlib, io, json, sys
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
said = {row["id"]: row["caption"] for row in map(json.loads, open(sys.argv[1]))}
true = {row["id"]: row["captions"] for row in map(json.loads, open(sys.argv[2]))}
gts = {key: [text.lower().replace(".", "") for text in texts] for key, texts in true.items()}
res = {key: [said[key].lower().replace(".", "")] for key in gts}
told = {}
with contextlib.redirect_stdout(io.StringIO()):
    bleu, _ = Bleu(4).compute_score(gts, res)
    told["bleu_4"] = bleu[3]
    if sys.argv[3] == "meteor":
        told["meteor"], _ = Meteor().compute_score(gts, res)
    told["rouge_l"], _ = Rouge().compute_score(gts, res)
    told["cider_d"], _ = Cider().compute_score(gts, res)
print(json.dumps({key: 100 * float(value) for key, value in told.items()}))
"""


def make_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Predictions and references as JSON lines."""
    splits = json.loads(CAPTIONS.read_text(encoding="utf-8"))
    pairs = [captions for split in splits.values() for captions in split.values()]
    pairs = [pairs[index % len(pairs)] for index in range(number)]
    kinds = {flag: [each for each in pairs if (NO_DIFFERENCE in each) is flag] for flag in (True, False)}
    draw = random.Random(0)
    predictions, references = folder / "predictions.jsonl", folder / "references.jsonl"
    with predictions.open("w", encoding="utf-8") as said, references.open("w", encoding="utf-8") as true:
        for index, captions in enumerate(pairs):
            caption = draw.choice(draw.choice(kinds[NO_DIFFERENCE in captions]))
            said.write(json.dumps({"id": str(index), "caption": caption}) + "\n")
            true.write(json.dumps({"id": str(index), "captions": captions}) + "\n")
    return predictions, references


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="run the scripts' loop once: it is slow")
    asked = parser.parse_args()
    if not CAPTIONS.is_file():
        raise SystemExit(f"the captions of LEVIR-CC are not at {CAPTIONS}")
    with tempfile.TemporaryDirectory() as name:
        said, true = map(str, make_files(Path(name), asked.pairs))
        evaluate = [*common.rsccli(), "evaluate", said, true, "--json"]
        bare = ["--no-floors", "--bootstrap", "0"]
        loop = [sys.executable, "-c", LOOP, said, true]
        cases = {
            "pycocoevalcap's loop: BLEU, METEOR 1.5, ROUGE-L, CIDEr-D": [*loop, "meteor"],
            "`rsccli evaluate`, the same scores and no more": [*evaluate, *bare],
            "`rsccli evaluate`, with flag, changed pairs, floors and 1,000 samples": evaluate,
            "pycocoevalcap's loop without METEOR": [*loop, "without"],
            "`rsccli evaluate --meteor off`, the same scores and no more": [*evaluate, "--meteor", "off", *bare],
            "`rsccli evaluate --meteor nltk`, everything": [*evaluate, "--meteor", "nltk"],
        }
        costs: dict[str, list[common.Cost]] = {case: [] for case in cases}
        for turn in range(asked.repeat):
            for case, command in cases.items():
                if turn and asked.once and "loop" in case:
                    continue
                common.note(f"{turn + 1}/{asked.repeat} {case}")
                cost = common.run_child(command, {"OMP_NUM_THREADS": "1"})
                if cost.returncode:
                    raise SystemExit(f"{case} left with {cost.returncode}:\n{cost.stderr[-3000:]}")
                costs[case].append(cost)
    names = list(cases)
    theirs = json.loads(costs[names[0]][0].stdout)
    ours = json.loads(costs[names[1]][0].stdout)["overall"]
    apart = max(abs(value - ours[key]) for key, value in theirs.items())
    rows = []
    for index, case in enumerate(names):
        walls = [cost.wall_s for cost in costs[case]]
        base = min(cost.wall_s for cost in costs[names[0] if index < 3 else names[3]])
        rows.append(
            [
                case,
                common.spread(walls, 1),
                common.spread([cost.cpu_s for cost in costs[case]], 1),
                common.spread([cost.peak_mb for cost in costs[case]]),
                f"{base / min(walls):.1f}",
            ]
        )
    common.say("## Evaluation\n")
    common.say(f"{common.machine()}. Seconds: median of {asked.repeat} (range).\n")
    common.say(
        f"{asked.pairs:,} predictions with 5 references each, from files to the result, one run after the other. "
        "References: LEVIR-CC. Predictions: human sentences of other pairs with the same flag, no model's. BLEU-4, "
        f"METEOR, ROUGE-L and CIDEr-D of the two differ by at most {apart:.1g} points. Memory is that of the largest "
        "process: METEOR's Java runs beside it, in up to two processes here and in one there.\n"
    )
    common.say(
        common.table(["what", "seconds", "processor seconds", "peak MB", "times as fast as the loop above it"], rows)
    )
    common.say("\nAsked for: at most 20 s for everything without neural metrics.")


if __name__ == "__main__":
    main()
