"""Conversion of checkpoints that have the names of the original."""

import dataclasses
import json

import pytest
import torch

from clipnav.storage.outputs import CONFIG
from clipnav.vl_tasks.clip_vil_p.building import load_run
from clipnav.vl_tasks.clip_vil_p.conversion import _RENAMED
from tests.vl_tasks.clip_vil_p.test_pretraining import make_trainer

# Names here and in the original, from which the test makes a checkpoint.
ORIGINAL = {
    new.rstrip("."): old.strip("^$").replace(r"\.", ".").rstrip(".") for old, new in _RENAMED
}


def original_name(name):
    ours = next(prefix for prefix in ORIGINAL if name == prefix or name.startswith(f"{prefix}."))
    return f"module.{ORIGINAL[ours]}{name.removeprefix(ours)}"


@pytest.fixture
def checkpoint(tiny, tiny_bert, tmp_path):
    """Trained network of the faithful model, and its file in the original's form."""
    text = dataclasses.replace(tiny.text, bert=str(tiny_bert))
    trunk = dataclasses.replace(tiny.trunk, positions=25)
    trainer = make_trainer(dataclasses.replace(tiny, faithful=True, text=text, trunk=trunk))
    trainer.step()
    trainer.close()
    network = trainer.learner.network.eval()
    weights = {original_name(name): x.clone() for name, x in network.state_dict().items()}
    embeddings = weights["module.bert.embeddings.word_embeddings.weight"]
    weights["module.cls.predictions.decoder.weight"] = embeddings.clone()
    weights["module.bert.encoder.visn_fc.box_fc.weight"] = torch.zeros(32, 4)
    weights["module.bert.encoder.visual_model.logit_scale"] = torch.zeros(())
    weights["module.bert.encoder.visual_model.visual.attnpool.q_proj.bias"] = torch.zeros(3)
    path = tmp_path / "Epoch11_LXRT.pth"
    torch.save(weights, path)
    answers = tmp_path / "all_ans.json"
    answers.write_text(json.dumps([{"ans": a} for a in trainer.learner.answers.answers]))
    return network, path, answers, trainer.learner._batch(5)


def convert(run_command, checkpoint, tiny_bert, output):
    _, path, answers, _ = checkpoint
    flags = ("--weights", path, "--encoder", "house_clip", "--bert", tiny_bert, "--heads", "2")
    run_command("convert-clip-vil-p", *flags, "--answers", answers, "--output", output)


def test_a_converted_checkpoint_computes_the_same(run_command, checkpoint, tiny_bert, tmp_path):
    output = tmp_path / "converted"
    convert(run_command, checkpoint, tiny_bert, output)
    network, _, _, batch = checkpoint
    config, converted, pieces, _ = load_run(output)
    assert config.faithful
    assert pieces.size <= network.stream.bert.config.vocab_size
    with torch.no_grad():
        expected, found = network(batch), converted(batch)
    torch.testing.assert_close(found.losses, expected.losses, atol=1e-5, rtol=1e-5)
    assert torch.equal(found.correct, expected.correct)
    (output / CONFIG).unlink()  # what is left could be the weights of another model
    with pytest.raises(FileExistsError, match=f"--output {output}: already exists; name another"):
        convert(run_command, checkpoint, tiny_bert, output)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop("module.cls.seq_relationship.bias"), r"matching\.bias is missing"),
        (lambda w: w.update({"module.extra": torch.zeros(1)}), "'extra' is not a weight of"),
        (
            lambda w: w.update({"module.bert.pooler.dense.bias": torch.zeros(5)}),
            r"stream\.pooler\.bias has shape \(5,\), not",
        ),
        (
            lambda w: w["module.cls.predictions.decoder.weight"].add_(1),
            "differs from the word embeddings",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    run_command, checkpoint, tiny_bert, tmp_path, change, problem
):
    path = checkpoint[1]
    weights = torch.load(path)
    change(weights)
    torch.save(weights, path)
    with pytest.raises(ValueError, match=problem) as error:
        convert(run_command, checkpoint, tiny_bert, tmp_path / "out")
    assert str(path) in str(error.value)
    assert not (tmp_path / "out").exists()


def test_other_answers_and_code_are_refused(run_command, checkpoint, tiny_bert, tmp_path):
    _, path, answers, _ = checkpoint
    answers.write_text('["yes"]')
    with pytest.raises(ValueError, match=r"all_ans\.json: 1 answers, but .* has 5"):
        convert(run_command, checkpoint, tiny_bert, tmp_path / "out")
    torch.save({"module.x": print}, path)
    with pytest.raises(ValueError, match=r"'module\.x' is not a tensor with a name"):
        convert(run_command, checkpoint, tiny_bert, tmp_path / "out")
