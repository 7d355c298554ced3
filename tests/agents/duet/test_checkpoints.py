"""Files with the published weights of DUET, and files that only look like them."""

import pickle
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from clipnav.agents.duet.conversion import convert_duet
from clipnav.agents.transformer.released import load_strictly, read_released

read_duet = partial(read_released, convert=convert_duet, model="DUET")


@pytest.fixture
def published(golden):
    return golden("duet_weights.safetensors")


def test_all_published_layouts_give_the_same_weights(golden, published, tmp_path):
    expected = convert_duet(published)
    agent = {f"module.vln_bert.{name}": tensor for name, tensor in published.items()}
    files = {"plain.pt": published, "agent.pt": {"vln_bert": {"state_dict": agent, "epoch": 3}}}
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    save_file(published, tmp_path / "plain.safetensors")
    for name in (*files, "plain.safetensors"):
        weights = read_duet(tmp_path / name)
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    path = tmp_path / "evil.pt"
    with path.open("wb") as file:
        pickle.dump({"weight": Evil()}, file)
    with pytest.raises(ValueError, match=r"evil\.pt"):
        read_duet(path)
    torch.save({"weight": Evil()}, path)
    with pytest.raises(ValueError, match="'weight' is not a tensor with a name"):
        read_duet(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"vln_bert": {"epoch": 1}}])
def test_files_without_weights_are_refused(content, tmp_path):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt: .*(contains no weights|is not a tensor)"):
        read_duet(tmp_path / "other.pt")


def test_missing_and_truncated_files_are_refused(published, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pt: the weight file is missing"):
        read_duet(tmp_path / "absent.pt")
    for name in ("half.pt", "half.safetensors"):
        path = tmp_path / name
        torch.save(published, path)
        if name.endswith(".safetensors"):
            save_file(published, path)
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(ValueError, match="half"):
            read_duet(path)


def test_weights_must_fit_exactly():
    layer = torch.nn.Linear(2, 3)
    good = layer.state_dict()
    for wrong, problem in (
        ({"weight": good["weight"]}, "bias is missing"),
        ({**good, "more": good["bias"]}, "more is not a weight"),
        ({**good, "bias": torch.zeros(4)}, r"shape \(4,\) instead of \(3,\)"),
    ):
        with pytest.raises(ValueError, match=problem):
            load_strictly(layer, wrong, "file")


def test_models_that_are_mixed_or_untied_are_refused():
    tensor = torch.zeros(2, 2)
    name = "embeddings.word_embeddings.weight"
    with pytest.raises(ValueError, match="mixes models"):
        convert_duet({name: tensor, f"bert.{name}": tensor})
    decoder = "mlm_head.predictions.decoder.weight"
    with pytest.raises(ValueError, match="decoder"):
        convert_duet({f"bert.{name}": tensor, decoder: tensor + 1})
