"""Score files of captions against what people wrote.

$ evaluate_captions.py results.json --references captions_val2014.json
$ evaluate_captions.py results.json --references dataset_coco.json

A file is a JSON list of {"image_id", "caption"}, COCO's form of results. The references are an
annotations file of COCO, or captions in Karpathy's form. Prints BLEU, ROUGE-L and CIDEr-D, METEOR
where Java and pycocoevalcap are, SPICE if asked, and what cut the captions into words.
"""

from complaints import friendly_errors

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class EvaluateCaptionsConfig:
    """Score files of captions against what people wrote."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files of captions, before the other arguments."""
    references: Path
    """Annotations file of COCO, or captions in Karpathy's form."""
    tokenizer: Literal["auto", "java", "python"] = "auto"
    """What cuts captions into words: java is the official one, auto takes it where it is."""
    meteor: Literal["auto", "yes", "no"] = "auto"
    """Compute METEOR, which takes Java; auto does so where Java and pycocoevalcap are."""
    spice: bool = False
    """Compute SPICE, which needs a parser besides; see docs/vl_tasks.md."""
    json: Path | None = None
    """Write all scores here."""


def main() -> None:
    """Parse the command line, score and print."""
    config = tyro.cli(EvaluateCaptionsConfig, description=__doc__)
    if not config.files:
        raise SystemExit("name a file to score: evaluate_captions.py results.json --references ...")
    # Imported here so that --help answers at once.
    from storage import write_text
    from vl_tasks.captioning.metrics import evaluate_captions
    from vl_tasks.captioning.results import read_any_references, read_results

    references = read_any_references(config.references)
    meteor = {"auto": None, "yes": True, "no": False}[config.meteor]
    found = {}
    for file in config.files:
        captions = read_results(file)
        scores = evaluate_captions(captions, references, config.tokenizer, meteor, config.spice)
        found[str(file)] = asdict(scores)
        print(f"{file}: {scores.images} captions, words by {scores.tokenizer}")
        for name, value in scores.scores.items():
            print(f"  {name:<8} {100 * value:7.2f}")
    if config.json:
        write_text(config.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with friendly_errors():
        main()
