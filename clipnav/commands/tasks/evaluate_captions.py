"""Score captions against reference captions.

$ clipnav evaluate-captions results.json --references captions_val2014.json
$ clipnav evaluate-captions results.json --references dataset_coco.json

A results file is a JSON list of {"image_id", "caption"} (COCO results format). The references are a
COCO annotations file or a captions file in Karpathy's format. The command prints BLEU, ROUGE-L and
CIDEr-D, METEOR if Java and pycocoevalcap are installed, SPICE with --spice, and the tokenizer.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.outputs import check_outputs


@dataclass(frozen=True)
class EvaluateCaptionsConfig:
    """Score captions against reference captions."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Results files, before the other arguments."""
    references: Path
    """COCO annotations file, or captions file in Karpathy's format."""
    tokenizer: Literal["auto", "java", "python"] = "auto"
    """Tokenizer of the captions: java (the official one), python, or auto (java if installed)."""
    meteor: Literal["auto", "yes", "no"] = "auto"
    """METEOR score, which requires Java; auto computes it if Java and pycocoevalcap are
    installed."""
    spice: bool = False
    """SPICE score, which also requires a parser, see docs/vl_tasks.md."""
    json: Path | None = None
    """Output file of all scores."""

    def __post_init__(self) -> None:
        check_outputs(self, {"json": (".json",)})


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, score and print."""
    config = parse(EvaluateCaptionsConfig, __name__, __doc__, arguments)
    if not config.files:
        raise SystemExit(
            "no results file given; write clipnav evaluate-captions results.json --references ..."
        )
    # Imported here so that --help returns at once.
    from clipnav.storage import write_text
    from clipnav.vl_tasks.captioning.metrics import evaluate_captions
    from clipnav.vl_tasks.data.captions import read_any_references, read_results

    references = read_any_references(config.references)
    meteor = {"auto": None, "yes": True, "no": False}[config.meteor]
    results = {}
    for file in config.files:
        captions = read_results(file)
        try:
            scores = evaluate_captions(captions, references, config.tokenizer, meteor, config.spice)
        except UserError as error:
            raise UserError(f"{file}: {error}") from error
        results[str(file)] = asdict(scores)
        print(f"{file}: {pluralise(scores.images, 'caption')}, tokenizer {scores.tokenizer}")
        if scores.images < len(references):
            left = len(references) - scores.images
            print(
                f"  {pluralise(left, 'image')} of {config.references} without a caption, left out"
            )
        for name, value in scores.scores.items():
            print(f"  {name:<8} {100 * value:7.2f}")
    if config.json:
        write_text(config.json, json.dumps(results, indent=1) + "\n")
