"""Numbers without sense are refused by the name of their flag before anything is read or made."""

import pytest

# What would be read first is not there, so that a number which is let through ends at once, too.
REFUSED = {
    "answer.py photo.jpg what?": ["--count 0"],
    "build_houses.py --scans nowhere": ["--workers 0", "--sheet-houses -1"],
    "caption.py photo.jpg": ["--beams 0"],
    "extract_features.py --output nowhere --scans nowhere": ["--workers 0", "--width 0"],
    "finetune_snli_ve.py --data nowhere": ["--minutes 0", "--minutes nan", "--threads 0"],
    "finetune_vqa.py --data nowhere": ["--minutes -1", "--threads -1", "--evaluate-every 0"],
    "make_house_tasks.py --houses 1": ["--workers 0", "--size 0"],
    "pretrain_house_clip.py --held-out 999": ["--batch-size 0", "--save-every 0", "--threads -1"],
    "train_agent.py --features nowhere": ["--minutes -1", "--threads 0"],
    "train_captioner.py --data nowhere": ["--beams 0", "--captions-per-image 0", "--threads -1"],
    "visualise_episode.py nowhere": ["--limit 0", "--limit -3"],
}


@pytest.mark.parametrize(("command", "flags"), REFUSED.items())
def test_a_number_without_sense_is_named(command, flags, run_script, capsys):
    for flag in flags:
        with pytest.raises(SystemExit) as ended:
            run_script(*command.split(), *flag.split())
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert f"{flag}: must be at least" in told or f"{flag}: must be greater than 0" in told
