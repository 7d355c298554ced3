"""Numbers without sense are refused by the name of their flag before anything is read or made."""

import pytest

# What would be read first is not there, so that a number which is let through ends at once, too.
REFUSED = {
    "answer photo.jpg what?": ["--count 0"],
    "build-houses --scans nowhere": ["--workers 0", "--sheet-houses -1"],
    "caption photo.jpg": ["--beams 0"],
    "convert-clip-vil-p --weights nowhere --answers nowhere --output nowhere": ["--heads 0"],
    "convert-features --features nowhere.tsv --output x.tsv": ["--width 0", "--width -3"],
    "draw-continuous-episode --output x.png --split nowhere": ["--pictures 1"],
    "evaluate-vlm --local-model nowhere": [
        *("--concurrency 0", "--episodes 0", "--answer-retries -1", "--max-requests 0"),
        *("--image-size 0", "--request-timeout 0", "--max-answer-tokens 0"),
    ],
    "extract-features --output nowhere --scans nowhere": ["--workers 0", "--panorama-width 1"],
    "finetune-snli-ve --data nowhere": ["--minutes 0", "--minutes nan", "--threads 0"],
    "finetune-vqa --data nowhere": ["--minutes -1", "--threads -1", "--evaluate-every 0"],
    "make-house-tasks --houses 1": ["--workers 0", "--image-size 0"],
    "pretrain-house-clip --held-out 999": ["--batch-size 0", "--save-every 0", "--threads -1"],
    "split-questions --data nowhere": ["--seed -1"],
    "train-agent --features nowhere": ["--minutes -1", "--threads 0"],
    "train-continuous-agent --demonstrations nowhere": ["--inflection-weight 0", "--minutes 0"],
    "train-captioner --data nowhere": ["--beams 0", "--captions-per-image 0", "--threads -1"],
    "visualise nowhere": ["--episodes 0", "--episodes -3"],
}


@pytest.mark.parametrize(("command", "flags"), REFUSED.items())
def test_a_number_without_sense_is_named(command, flags, run_command, capsys):
    for flag in flags:
        with pytest.raises(SystemExit) as ended:
            run_command(*command.split(), *flag.split())
        assert ended.value.code == 2
        printed = " ".join(capsys.readouterr().err.split())
        assert (
            f"{flag}: must be at least" in printed or f"{flag}: must be greater than 0" in printed
        )
