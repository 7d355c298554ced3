"""Text encoders of the map transformer."""

import dataclasses

import pytest
import torch

from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.pretraining_learner import PretrainingModel
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.envs.tokenizers import PretrainedTokenizer

SMALL = {
    "hidden_size": 16,
    "heads": 2,
    "feed_forward_size": 32,
    "panorama_layers": 1,
    "cross_layers": 1,
    "max_steps": 8,
    "dropout": 0.0,
}


@pytest.fixture
def tokens(tiny_bert):
    tokenizer = PretrainedTokenizer(str(tiny_bert))
    sentences = ["Go to the red door.", "The blue one."]
    return torch.stack([torch.from_numpy(tokenizer.encode(text, 12)) for text in sentences]).long()


def test_the_first_layers_of_a_text_model_are_kept(tiny_bert, tmp_path, tokens):
    from transformers import AutoConfig, BertModel

    sizes = AutoConfig.from_pretrained(tiny_bert)
    sizes.num_hidden_layers = 3
    whole = BertModel(sizes).eval()
    whole.save_pretrained(tmp_path)
    # The text encoder without a text model, such as that of a preset, has no effect.
    config = MapTransformerConfig(
        **SMALL, text_model=str(tmp_path), text_model_layers=2, text_encoder="lstm"
    )
    model = MapTransformer(config, 0, 4).eval()
    ids, mask = (tokens - 1).clamp_min(0), (tokens != 0).long()
    states = whole(ids, attention_mask=mask, output_hidden_states=True).hidden_states[2]
    read = model.read(tokens).states
    expected = model.text.projection(states)
    torch.testing.assert_close(read.states[read.mask], expected[read.mask])
    assert "2 layers" in model.architecture["text"]
    with pytest.raises(ValueError, match="3 layers, so 4"):
        MapTransformer(dataclasses.replace(config, text_model_layers=4), 0, 4)


def test_masked_words_require_the_width_of_the_text_model(tiny_bert):
    config = MapTransformerConfig(**SMALL, text_model=str(tiny_bert))
    with pytest.raises(ValueError, match=r"--network.hidden-size"):
        PretrainingModel(MapTransformer(config, 0, 4))


def test_instructions_beyond_the_table_of_positions_are_refused(tokens):
    config = MapTransformerConfig(**SMALL, text_layers=1, max_text_length=4)
    with pytest.raises(ValueError, match=r"--network.max-text-length"):
        MapTransformer(config, int(tokens.max()) + 1, 4).read(tokens)


@pytest.mark.parametrize(
    ("positions", "vocabulary", "features", "weights"),
    [(512, 30_522, 768, 180_489_221), (514, 250_002, 512, 348_854_789)],
    ids=["R2R with BERT's vocabulary", "RxR with XLM-R's vocabulary"],
)
def test_published_sizes_have_the_published_number_of_weights(
    positions, vocabulary, features, weights
):
    config = MapTransformerConfig(max_text_length=positions)
    with torch.device("meta"):
        model = MapTransformer(config, vocabulary, features)
    assert sum(parameter.numel() for parameter in model.parameters()) == weights
