"""``rsccli evaluate PRED REF``: scores captions of a model against captions of people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli.evaluate.options import Format, FullFloors, Json, Output, Overwrite, Protocol, Train
from rsccli.cli.evaluate.output import places, write
from rsccli.cli.evaluation_options import (
    SCORES,
    BertModel,
    BertScoreLayers,
    Bootstrap,
    Meteor,
    MeteorVariant,
    ProtocolChoice,
    RefColumn,
    Seed,
    SentenceModel,
    Split,
    Wordnet,
)


def register(group: typer.Typer) -> None:
    """Make it what the group itself does."""
    group.callback()(evaluate)


def evaluate(
    context: typer.Context,
    pred: Annotated[Path, typer.Argument(metavar="PRED", help="Captions of a model.", show_default=False)],
    ref: Annotated[
        Path, typer.Argument(metavar="REF", help="Captions of people, one or more a pair.", show_default=False)
    ],
    protocol: Protocol = ProtocolChoice.words,
    split: Split = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_COMPARE",
            metavar="OTHER",
            help="Captions of another model: PRED minus OTHER on the pairs that all three files share.",
        ),
    ] = None,
    pred_column: Annotated[
        str | None,
        typer.Option(
            envvar="RSCCLI_PRED_COLUMN", metavar="NAME", help="Where PRED keeps its captions, if that is not clear."
        ),
    ] = None,
    ref_column: RefColumn = None,
    compare_column: Annotated[
        str | None,
        typer.Option(
            envvar="RSCCLI_COMPARE_COLUMN", metavar="NAME", help="The same of OTHER; that of PRED if not given."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--pred-model", envvar="RSCCLI_PRED_MODEL", metavar="NAME", help="Of several models in PRED, this one."
        ),
    ] = None,
    regime: Annotated[
        str | None,
        typer.Option(
            "--pred-regime",
            envvar="RSCCLI_PRED_REGIME",
            metavar="NAME",
            help="Of several prompt regimes in PRED, this one: zero-shot, textual_prompt, visual_prompt.",
        ),
    ] = None,
    compare_model: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_COMPARE_MODEL", metavar="NAME", help="Of several models in OTHER, this one."),
    ] = None,
    compare_regime: Annotated[
        str | None,
        typer.Option(envvar="RSCCLI_COMPARE_REGIME", metavar="NAME", help="Of several regimes in OTHER, this one."),
    ] = None,
    meteor: Meteor = MeteorVariant.auto,
    spice: Annotated[
        bool | None,
        typer.Option(
            "--spice/--no-spice",
            envvar="RSCCLI_SPICE",
            help="SPICE (slow). Default: where Java and its files are there.",
            show_default=False,
            rich_help_panel=SCORES,
        ),
    ] = None,
    wordnet: Wordnet = None,
    sentence_model: SentenceModel = None,
    bert_model: BertModel = None,
    bert_score_layers: BertScoreLayers = None,
    device: Annotated[
        str, typer.Option(envvar="RSCCLI_DEVICE", help="Of the two models: cpu, cuda, cuda:1.", rich_help_panel=SCORES)
    ] = "cpu",
    no_floors: Annotated[
        bool,
        typer.Option("--no-floors", envvar="RSCCLI_NO_FLOORS", help="Leave the floors out.", rich_help_panel=SCORES),
    ] = False,
    full_floors: FullFloors = False,
    train: Train = None,
    bootstrap: Bootstrap = 1000,
    seed: Seed = 0,
    json_output: Json = False,
    form: Format = None,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Score captions of a model against captions that people wrote.

    Prints every score on all pairs and on the changed pairs alone, how well the captions say whether anything changed,
    and what predictors reach on the same pairs that look at no pixel, with 95 % intervals.

    PRED and REF: JSON of LEVIR-CC, COCO or lists, JSON lines of RSCC or others, CSV with id and caption, or what rsccli
    caption wrote. Pairs meet by id, or by the file names of pre and post; what does not meet is counted and said.

    Examples:

    \b
      rsccli evaluate out.jsonl LevirCCcaptions.json --split test
      rsccli evaluate out.jsonl LevirCCcaptions.json --split test --protocol word-ids -o scores.json -o scores.tex
      rsccli evaluate mine.csv people.csv --compare theirs.csv
      rsccli evaluate out.jsonl RSCC_gt.jsonl --protocol rscc --sentence-model sentence-t5-xxl
      rsccli evaluate floors LevirCCcaptions.json --split val      # what no model needs pixels for
    """
    if context.invoked_subcommand is not None:
        return
    where = places(json_output, form, output, overwrite)
    from rsccli.evaluation.evaluate import EvaluateOptions
    from rsccli.evaluation.files import Request, evaluate_files
    from rsccli.evaluation.protocols import MetricChoices

    choices = MetricChoices(
        meteor=meteor.value,
        spice=spice,
        wordnet=wordnet,
        sentence_encoder=sentence_model,
        bert_score=bert_model,
        bert_score_layers=bert_score_layers,
        roberta=bert_model if protocol is ProtocolChoice.rscc else None,
        device=device,
    )
    request = Request(
        references=ref,
        predictions=pred,
        protocol=protocol.value,
        split=split,
        prediction_column=pred_column,
        reference_column=ref_column,
        model=model,
        regime=regime,
        compare=compare,
        compare_column=compare_column,
        compare_model=compare_model,
        compare_regime=compare_regime,
        train=train,
        options=EvaluateOptions(
            choices=choices, samples=bootstrap, seed=seed, floors=not no_floors, full_floors=full_floors
        ),
    )
    write(evaluate_files(request), where)
