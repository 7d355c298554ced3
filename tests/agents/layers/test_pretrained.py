import numpy as np
import pytest
import torch

from clipnav.agents.layers.encoders import cropped, empty_instructions
from clipnav.agents.layers.pretrained import PretrainedEncoder, StateReader, hugging_face_model
from clipnav.agents.settings import FollowerConfig
from clipnav.envs.tokenizers import PretrainedTokenizer

SMALL = FollowerConfig(hidden_size=16, dropout=0.0)


@pytest.fixture
def tokens(tiny_bert):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    sentences = ["Go to the red door.", "The blue one."]
    return torch.stack([torch.from_numpy(tokenizer.encode(text, 12)) for text in sentences])


def encoder(tiny_bert, tune):
    torch.manual_seed(0)
    return PretrainedEncoder(hugging_face_model(str(tiny_bert)), SMALL, tune).eval()


def test_frozen_and_tuned_models_encode_equally(tiny_bert, tokens):
    frozen, tuned = encoder(tiny_bert, False), encoder(tiny_bert, True)
    context, state = frozen(tokens)
    assert context.words.shape == (2, 8, 16)
    assert context.mask.sum(1).tolist() == [8, 6]
    own, first = tuned(tokens)
    real = context.mask.unsqueeze(2)
    torch.testing.assert_close(context.words * real, own.words * real, atol=2e-2, rtol=0)
    torch.testing.assert_close(state.attended, first.attended, atol=2e-2, rtol=0)


def assert_close_states(one, other):
    """Compare states that were computed apart and rounded to float16."""
    torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


def test_frozen_states_are_computed_once_per_instruction(tiny_bert, tokens):
    frozen = encoder(tiny_bert, False)
    frozen.frozen.reserve([tokens.numpy()])
    calls = []
    model = frozen.text.network
    model.register_forward_hook(lambda *_: calls.append(1))
    context, _ = frozen(tokens)
    again, _ = frozen(tokens.flip(0))
    assert len(calls) == 2
    assert torch.equal(context.words[0], again.words[1])
    alone, _ = encoder(tiny_bert, False)(tokens[1:])
    assert_close_states(alone.words[0], context.words[1, :6])


def test_only_a_tuned_model_has_gradients(tiny_bert, tokens):
    for tune in (False, True):
        names = [name for name, _ in encoder(tiny_bert, tune).named_parameters()]
        assert any(name.startswith("tuned.") for name in names) == tune
        assert "words.weight" in names
    tuned = encoder(tiny_bert, True)
    context, state = tuned(tokens)
    (context.words.sum() + state.attended.sum()).backward()
    assert tuned.tuned.embeddings.word_embeddings.weight.grad.abs().sum() > 0
    for name, parameter in tuned.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.fixture
def reader(tiny_bert):
    torch.manual_seed(0)
    return StateReader(hugging_face_model(str(tiny_bert)), SMALL).eval()


def test_a_reader_standardises_the_states_of_all_words(reader, tokens):
    before = reader.states(tokens.long())[tokens != 0]
    assert (before.mean(0).abs() / before.std(0)).max() > 0.5
    reader.fit(tokens)
    words = reader.scale.features(reader.states(tokens.long()))[tokens != 0]
    assert words.shape == (14, before.shape[1])
    torch.testing.assert_close(words.mean(0), torch.zeros(before.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(words.std(0), torch.ones(before.shape[1]))


def test_padding_does_not_change_what_a_reader_encodes(reader, tokens):
    reader.fit(tokens)
    context, state = reader(tokens)
    assert context.words.shape == (2, 8, 16)
    assert context.mask.sum(1).tolist() == [8, 6]
    alone, first = reader(tokens[1:])
    torch.testing.assert_close(alone.words[0], context.words[1, :6])
    torch.testing.assert_close(first.attended[0], state.attended[1])
    assert not context.words[1, 6:].any()


def test_fitting_leaves_a_tuned_model_in_training(tiny_bert, tokens):
    reader = StateReader(hugging_face_model(str(tiny_bert)), SMALL, tune=True).train()
    reader.fit(tokens)
    first = reader.scale.shift.clone()
    reader.fit(tokens)
    assert torch.equal(reader.scale.shift, first)  # computed without dropout
    assert reader.tuned.training
    context, _ = reader(tokens)
    context.words.sum().backward()
    assert reader.tuned.embeddings.word_embeddings.weight.grad.abs().sum() > 0


TOKENS = np.array([[9, 4, 5, 2, 0], [9, 4, 2, 0, 0]], np.int32)


def test_empty_instructions_keep_start_and_end_token():
    assert empty_instructions(TOKENS).tolist() == [[9, 2], [9, 2]]


def test_columns_of_padding_are_cut():
    assert cropped(TOKENS).tolist() == [[9, 4, 5, 2], [9, 4, 2, 0]]
