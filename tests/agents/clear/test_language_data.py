import numpy as np
import pytest

from clipnav.agents.clear.language_data import PairBatches, PartnerInstructions, PathInstructions
from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.tokenizers import WordTokenizer

LANGUAGES = ("en-IN", "en-US", "hi-IN", "te-IN")


def episode(path, number, language):
    viewpoints = (f"v{path}", f"w{path}")
    text = f"path {path} text {number}"
    instr_id = f"{path}_{number}"
    return Episode(instr_id, path, f"scan{path % 3}", viewpoints, 0.0, text, language)


EPISODES = [
    episode(path, number, language)
    for path in range(9)
    for number, language in enumerate(LANGUAGES)
]


@pytest.fixture
def tokenizer():
    return WordTokenizer.build([e.instruction for e in EPISODES], min_count=1)


@pytest.fixture
def data(tokenizer):
    return PathInstructions(EPISODES, tokenizer, 10)


def languages_of(data, tokens):
    known = {row.numpy().tobytes(): e for row, e in zip(data.tokens, data.episodes, strict=True)}
    return [known[row.numpy().tobytes()] for row in tokens]


@pytest.mark.parametrize("rule", ["any", "same-language", "other-language"])
def test_partners_describe_the_same_path_in_the_wanted_language(data, rule):
    batches = PairBatches(data, rule, batch_size=6, seed=0)
    relations = set()
    for iteration in range(8):
        anchors, partners = batches.batch(iteration)
        one, other = languages_of(data, anchors), languages_of(data, partners)
        assert [e.path_id for e in one] == [e.path_id for e in other]
        assert len({e.path_id for e in one}) == 6
        assert all(a.instr_id != b.instr_id for a, b in zip(one, other, strict=True))
        relations |= {
            base_language(a.language) == base_language(b.language)
            for a, b in zip(one, other, strict=True)
        }
    wanted = {"any": {True, False}, "same-language": {True}, "other-language": {False}}
    assert relations == wanted[rule]


def test_batches_depend_on_seed_and_iteration_only(data):
    first, second = (PairBatches(data, "any", 4, seed=3) for _ in range(2))
    second.batch(0)
    for one, other in zip(first.batch(5), second.batch(5), strict=True):
        assert one.tolist() == other.tolist()
    assert first.batch(5)[0].tolist() != PairBatches(data, "any", 4, seed=4).batch(5)[0].tolist()


def test_ranks_share_the_batch(data):
    whole = PairBatches(data, "any", 4, 0, world_size=2).batch(1)
    parts = [PairBatches(data, "any", 4, 0, 2).batch(1, rank, 2) for rank in range(2)]
    for rank, part in enumerate(parts):
        for one, other in zip(whole, part, strict=True):
            assert one[rank::2].tolist() == other.tolist()


def test_retrieval_tasks_cover_every_direction_between_languages(data):
    tasks = {task.name: task for task in data.tasks()}
    assert sorted(tasks) == ["en-hi", "en-te", "hi-en", "hi-te", "te-en", "te-hi"]
    task = tasks["hi-en"]
    assert len(task.queries) == 9
    for query, candidate in zip(task.queries, task.candidates, strict=True):
        one, other = data.episodes[query], data.episodes[candidate]
        assert one.path_id == other.path_id
        assert (one.language, other.language) == ("hi-IN", "en-IN")


def test_with_one_language_the_second_instruction_searches_for_the_first(tokenizer):
    english = PathInstructions([e for e in EPISODES if e.language[:2] == "en"], tokenizer, 10)
    (task,) = english.tasks()
    assert task.name == "en-en"
    assert all(q != c for q, c in zip(task.queries, task.candidates, strict=True))


def test_partners_of_followers_depend_on_id_and_seed_only(data):
    tokens = data.tokens.numpy()
    partners = PartnerInstructions(EPISODES, tokens)
    ids = [e.instr_id for e in EPISODES[:6]]
    drawn = partners.draw(ids, 0, 1)
    assert partners.draw(ids[2:4], 0, 1).tolist() == drawn[2:4].tolist()
    seeds = [partners.draw(ids, 0, iteration).tolist() for iteration in range(4)]
    assert any(other != seeds[0] for other in seeds[1:])
    for index, row in enumerate(drawn):
        path = EPISODES[index].path_id
        own = [k for k, e in enumerate(EPISODES) if e.path_id == path and k != index]
        assert any(np.array_equal(row, tokens[k]) for k in own)
    with pytest.raises(ValueError, match="every path has one"):
        PartnerInstructions(EPISODES[::4], tokens[::4])
