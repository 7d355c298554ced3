import numpy as np
import pytest
import torch

from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker import END, PathViews, Speaker
from clipnav.agents.settings import SpeakerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures

SMALL = SpeakerConfig(embedding_size=6, hidden_size=8, standardise=False)
WORDS = 12
FIRST = WORDS - 1
TOKENS = torch.tensor([[FIRST, 3, 4, 5, END, 0], [FIRST, 6, END, 0, 0, 0]])
ONE = torch.zeros(2, dtype=torch.long)


def paths(steps=(3, 2)):
    """Return paths of random views, ordered by step."""
    rng = torch.Generator().manual_seed(0)
    places = sorted((step, row) for row, count in enumerate(steps) for step in range(count))
    step, row = (torch.tensor(column) for column in zip(*places, strict=True))
    stops = step == torch.tensor(steps)[row] - 1
    taken = torch.randn(len(row), 20, generator=rng).masked_fill(stops[:, None], 0.0)
    return PathViews(row, step, torch.randn(len(row), 36, 20, generator=rng), taken, stops)


@pytest.fixture
def speaker():
    torch.manual_seed(0)
    return Speaker(WORDS, visual=12, angle=8, languages=1, config=SMALL).eval()


def test_log_probs_equal_decoding_word_by_word(speaker):
    context = speaker.encode(paths())
    log_probs = speaker.log_probs(context, TOKENS, ONE)
    assert log_probs.shape == (2, 4)
    assert log_probs[1, 2:].tolist() == [0.0, 0.0]
    state = speaker.decoder.start(ONE)
    for place in range(4):
        hidden, state = speaker.decoder(TOKENS[:, place : place + 1], context, state)
        logs = speaker.decoder.word(hidden).log_softmax(1)
        wanted = logs.gather(1, TOKENS[:, place + 1 : place + 2])[:, 0]
        real = TOKENS[:, place + 1] != 0
        torch.testing.assert_close(log_probs[:, place][real], wanted[real])


def test_generates_the_most_probable_words_without_special_tokens(speaker):
    with torch.no_grad():
        speaker.decoder.word.bias[[0, 1, FIRST]] = 100.0
    context = speaker.encode(paths())
    generated = speaker.generate(context, ONE, 7)
    assert generated.dtype == np.int32
    assert (generated[:, 0] == FIRST).all()
    for row in range(2):
        tokens_of_row = generated[row][generated[row] != 0]
        assert tokens_of_row[-1] == END
        assert not {0, 1, FIRST} & set(tokens_of_row[1:].tolist())
        alone = speaker.generate(context.rows(torch.tensor([row])), ONE[:1], 7)
        assert alone[0].tolist() == tokens_of_row.tolist()
        tokens = torch.from_numpy(tokens_of_row)[None].long()
        likely = speaker.log_probs(context.rows(torch.tensor([row])), tokens, ONE[:1]).sum()
        for other in range(3, FIRST):
            if tokens_of_row[1] not in (other, END):
                changed = tokens[:, :2].clone()
                changed[0, 1] = other
                rows = context.rows(torch.tensor([row]))
                first = speaker.log_probs(rows, tokens[:, :2], ONE[:1])
                assert speaker.log_probs(rows, changed, ONE[:1]).sum() <= first.sum()
        assert torch.isfinite(likely)


def test_parameter_count_is_that_of_the_paper_without_unused_layers():
    # EnvDrop with 512-d features: speaker encoder 4,333,568 and decoder 3,192,033, including the
    # unused baseline projection 512 * 128 + 128 + 128 + 1; torch's LSTMs have two biases.
    speaker = Speaker(992, visual=512, angle=128, languages=1, config=SpeakerConfig())
    encoder = sum(p.numel() for p in speaker.encoder.parameters())
    decoder = sum(p.numel() for p in speaker.decoder.parameters())
    assert encoder == 4_333_568 - 2 * 2 * 4 * 256
    assert decoder == 3_192_033 - (512 * 128 + 128 + 128 + 1)


def test_paths_are_walked_to_their_stop(doors_env):
    episodes = doors_env.episodes[:5]
    features = DeviceFeatures(doors_env)
    described = record_paths(doors_env, features, [e.instr_id for e in episodes])
    seen = described.views
    assert seen.rows.tolist() == [*range(5), *range(5)]
    assert seen.steps.tolist() == [0] * 5 + [1] * 5
    assert seen.stops.tolist() == [False] * 5 + [True] * 5
    assert (seen.taken[5:] == 0).all()
    # What is taken from the centre is the view with the colour of the door.
    assert (seen.taken[:5, :4].sum(1) == 1).all()
    length = described.tokens.shape[1]
    for tokens, episode in zip(described.tokens, episodes, strict=True):
        expected = doors_env.tokenizer.encode(episode.instruction, length)
        assert tokens.tolist() == expected.tolist()
