"""What every task must do: a run that is interrupted and resumed equals an uninterrupted one."""

import os
import signal

import pytest
import torch

from clipnav.training.checkpoints import load_trainer
from clipnav.vl_tasks.specs import parse_task, task_spec
from clipnav.vl_tasks.training import make_trainer
from tests.vl_tasks.clip_vil_p.conftest import write_pair_folder
from tests.vl_tasks.small_networks import MCAN, PYTHIA

RUN = (
    "--select-by val --evaluation-splits val --iterations 4 --evaluate-every 2 --batch-size 8 "
    "--threads 1"
)
SMALL_MCAN, SMALL_PYTHIA = " ".join(MCAN), " ".join(PYTHIA)
CAPTIONER = "--captioner.hidden-size 16 --captioner.layers 1 --captioner.heads 2 --tokenizer python"
BERT = "--text.vocabulary-size 120 --text.hidden-size 32 --text.layers 1 --text.heads 2"
NEW_BERT = BERT.replace("--text", "--multilingual.text")
# Task and flags by name. "STARTS" is a folder with finished runs of two of them.
RUNS = {
    "vqa": f"vqa --preset houses {SMALL_MCAN}",
    "vqa without vision": f"vqa --preset houses --no-vision {SMALL_MCAN}",
    "vqa by Pythia": f"vqa --preset houses --model pythia --faithful {SMALL_PYTHIA}",
    "vqa by MoVie+MCAN": f"vqa --preset houses --model movie-mcan {SMALL_MCAN}",
    "vqa by CLIP-ViL_p": "vqa --model clip-vil-p --start-from STARTS/pretrain-vl",
    "multilingual vqa": f"vqa --model multilingual --languages en {NEW_BERT} "
    "--multilingual.image-size 64 64 --multilingual.trunk.random-weights",
    "gqa": f"gqa --preset houses --loss bce {SMALL_MCAN}",
    "snli-ve": f"snli-ve --preset houses {SMALL_MCAN}",
    "snli-ve by two towers": "snli-ve --preset houses --model two-tower --hidden-size 16",
    "captions": f"captions --preset houses {CAPTIONER}",
    "self-critical captions": "captions --start-from STARTS/captions",
    "pretrain-vl": f"pretrain-vl {BERT} --image-size 64 96 --workers 0 --accumulate 2 --cells 4 "
    "--trunk-optimiser.name sgd --trunk-optimiser.milestones 3 --trunk.no-frozen-norms",
    "pretrain-vl with AdamW for the trunk": f"pretrain-vl {BERT} --image-size 64 96 --workers 0 "
    "--pairs-per-image 4",
}


@pytest.fixture(scope="module")
def folders(shapes, gqa_shapes, tmp_path_factory):
    """Data folder by task."""
    pairs = write_pair_folder(tmp_path_factory.mktemp("pairs"), {"train": 24, "val": 6})
    return {"gqa": gqa_shapes, "pretrain-vl": pairs, "vqa": shapes, "snli-ve": shapes,
            "captions": shapes}  # fmt: skip


@pytest.fixture(scope="module")
def starts(folders, tmp_path_factory):
    """Folder with finished runs."""
    folder = tmp_path_factory.mktemp("starts")
    for name in ("pretrain-vl", "captions"):
        train(settings(name, folders, folder, "--output", folder / name))
    return folder


def settings(name, folders, starts, *flags):
    task, *words = RUNS[name].replace("STARTS", str(starts)).split()
    return parse_task(task, [*words, *RUN.split(), "--data", str(folders[task]), *map(str, flags)])


def train(config, stop_in=None):
    """Train, with Ctrl-C in an iteration if there is one to stop in; return the trainer."""
    torch.manual_seed(config.seed)
    task = task_spec(config.task).part("task")(config)
    trainer, backward = make_trainer(task), task.backward

    def interrupted(iteration):
        if iteration == stop_in:
            os.kill(os.getpid(), signal.SIGINT)
        return backward(iteration)

    task.backward = interrupted
    trainer.train()
    trainer.close()
    return trainer


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_equals_an_uninterrupted_one(name, folders, starts, tmp_path, check_same_run):
    whole = train(settings(name, folders, starts, "--output", tmp_path / "whole"))
    halves = tmp_path / "halves"
    with pytest.raises(SystemExit, match=rf"after 3 iterations.*--resume {halves}"):
        train(settings(name, folders, starts, "--output", halves), stop_in=2)
    assert load_trainer(halves)["iteration"] == 3
    task = RUNS[name].split()[0]
    check_same_run(whole, train(parse_task(task, ["--resume", str(halves)])))
