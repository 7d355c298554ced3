"""Pairs from LXMERT's and Karpathy's files, and the batches that are made of them."""

import json
import pickle
import signal

import numpy as np
import pytest
import torch

from clipnav.storage import cache_dir
from clipnav.vl_tasks.clip_vil_p.data.answers import ANSWERS, AnswerClasses, convert_answer
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import GroupedOrder, exact_batches
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import NONE, BatchKey, PairBatches
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from clipnav.vl_tasks.clip_vil_p.data.pictures import DamagedPictureError
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces

FRAMING = Framing(64, 96)


@pytest.fixture
def pairs(pair_folder):
    return open_pairs(pair_folder, ["train"], pair_folder / "images")


@pytest.fixture
def maker(pairs):
    texts = [pairs[k].text for k in range(len(pairs))]
    classes = AnswerClasses.of_pairs(pairs, 2).of_index(pairs)
    return PairBatches(pairs, WordPieces.learn(texts, 120), classes, FRAMING, 12, False, 0)


def key(pairs, number=0):
    pairs = np.asarray(pairs)
    return BatchKey(pairs, (1, number), np.arange(len(pairs)))


def test_pairs_of_lxmert_keep_sentences_and_converted_answers(pairs):
    assert len(pairs) == 48 * 4
    assert pairs.image_count == 48
    first = pairs[2]
    assert (pairs[0].text, first.text) == ("a red circle", "what colour is it?")
    assert pairs.image_path(first.image).name == "shape_1.png"
    scores = {pairs.answers[a]: s for a, s in zip(first.answers, first.scores, strict=True)}
    assert scores == pytest.approx({"red": 1.0, "dark": 0.3})
    assert len(pairs[0].answers) == 0
    assert pairs.portrait(FRAMING).sum() == 12
    assert AnswerClasses.of_pairs(pairs, 16).answers == (
        "circle", "square", "blue", "green", "red"
    )  # fmt: skip


def test_converted_answers_replace_others_as_in_the_original(pair_folder, tmp_path):
    # label[converted] = label.pop(answer) of LXMERTDataset, in the order of the file.
    labels = {
        (("grey", 0.3), ("gray", 0.6)): {"gray": 0.3},
        (("gray", 0.6), ("grey", 0.3)): {"gray": 0.3},
        (("a dog", 1.0), ("The dog.", 0.9), ("no", 0.6)): {"dog": 0.9, "no": 0.6},
        (("two", 0.0), ("2", 0.6), ("yes", 0.3)): {"yes": 0.3},
    }
    records = [{"img_id": "shape_2", "sent": "?", "label": dict(label)} for label in labels]
    (tmp_path / "a_train.json").write_text(json.dumps(records))
    pairs = open_pairs(tmp_path, ["train"], pair_folder / "images")
    for number, expected in enumerate(labels.values()):
        pair = pairs[number]
        found = zip(pair.answers, pair.scores.tolist(), strict=True)
        assert {pairs.answers[answer]: score for answer, score in found} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[{"img_id": "shape_1", "sentf": {"a": ["x", ""]}}]', "sentence 1 of 'sentf.a' is blank"),
        ('[{"img_id": "shape_1", "sentf": {"a": [3]}}]', r"record 0: field 'sentf\[...\]\[0\]'"),
        ('[{"sentf": {}}]', "field 'img_id' is missing"),
        ('[{"img_id": "shape_1", "sentf": {"a": ["x"]}', "record 0: not valid JSON"),
        ('[{"img_id": "shape_1", "sentf": {"a": ["x"]}, "labelf": {"a": []}}]', "has 0 entries"),
        ('[{"img_id": "shape_1", "sentf": {}, "labelf": {"a": []}}]', "has no sentences"),
        ('[{"img_id": "shape_1", "sent": " ", "label": {"no": 1}}]', "field 'sent' is blank"),
        ('[{"img_id": "shape_1", "sentf": {"a": ["x"]}} 1]', "a comma or the end"),
        ("{}", "the file is not a JSON array"),
        ("[]", "contain no pair"),
        ('[{"img_id": "missing_9", "sentf": {"a": ["x"]}}]', "there is no image missing_9"),
    ],
)
def test_damaged_files_are_named_and_leave_no_index(pair_folder, tmp_path, content, problem):
    path = tmp_path / "bad_train.json"
    path.write_text(content)
    known = set((cache_dir() / "pairs").glob("*/index.json"))
    with pytest.raises((ValueError, FileNotFoundError), match=problem):
        open_pairs(tmp_path, ["train"], pair_folder / "images")
    assert set((cache_dir() / "pairs").glob("*/index.json")) == known
    assert not list((cache_dir() / "pairs").glob("*/unfinished"))


def test_answers_are_converted_as_in_the_golden_file(golden_system):
    golden, _ = golden_system("clipvilp_answer_init")
    found = [convert_answer(answer) for answer in golden["fine_tuning_answers"]]
    assert found == golden["converted"]


def test_all_ans_of_lxmert_is_read(tmp_path):
    path = tmp_path / "all_ans.json"
    path.write_text(json.dumps([{"ans": "yes", "dsets": ["vqa"]}, {"ans": "no", "dsets": []}]))
    assert AnswerClasses.load(path).answers == ("yes", "no")
    path.write_text('["yes", "no", "yes"]')
    with pytest.raises(ValueError, match=r"all_ans\.json: contains the answer 'yes' twice"):
        AnswerClasses.load(path)
    path.rename(tmp_path / ANSWERS)
    with pytest.raises(ValueError, match="contains the answer 'yes' twice"):
        AnswerClasses.of_run(tmp_path)
    path.write_text('[{"dsets": []}]')
    with pytest.raises(ValueError, match="record 0 is not an answer"):
        AnswerClasses.load(path)


def test_batches_depend_on_their_key_only(maker):
    numbers = [5, 9, 40, 41]
    first, again, other = (maker.make(key(numbers, k)) for k in (0, 0, 1))
    for x, y in zip(first[1:], again[1:], strict=True):
        assert torch.equal(x, y)
    assert not torch.equal(first.pieces, other.pieces)
    copied = pickle.loads(pickle.dumps(maker)).make(key(numbers))
    assert torch.equal(copied.pictures.pixels, first.pictures.pixels)


def test_shares_of_masks_exchanges_and_answers(maker, pairs):
    rows = np.flatnonzero(~pairs.portrait(FRAMING)[pairs.images])
    batches = [maker.make(key(rows[:100], number)) for number in range(30)]
    matching = torch.cat([batch.matching for batch in batches]).float()
    assert 0.45 < matching.mean() < 0.55
    masked, unchanged, total = 0, 0, 0
    for batch in batches:
        matched = batch.matching == 1
        targets = batch.words[matched] != NONE
        pieces = batch.pieces[matched]
        masked += int((pieces[targets] == maker.pieces.mask).sum())
        unchanged += int((pieces == batch.words[matched])[targets].sum())
        total += int(targets.sum())
        inner = int((pieces != 0).sum()) - 2 * len(pieces)
        assert 0.05 < targets.sum() / inner < 0.28
        # Word pieces of exchanged sentences are masked, too, but are no targets.
        assert (batch.words[~matched] == NONE).all()
        assert (batch.answers[~matched] == NONE).all()
        assert (batch.pieces[~matched] == maker.pieces.mask).any()
    assert 0.75 < masked / total < 0.85
    assert 0.05 < unchanged / total < 0.15
    classes = AnswerClasses.of_pairs(pairs, 2)
    asked = [(k, int(a)) for b in batches for k, a in zip(rows[:100], b.answers, strict=True)]
    assert {k for k, a in asked if a != NONE} == {
        k for k in rows[:100] if len(pairs[int(k)].answers)
    }
    for number, answer in asked:
        if answer != NONE:
            pair = pairs[int(number)]
            assert classes.answers[answer] in {pairs.answers[a] for a in pair.answers}


def test_words_of_questions_are_masked_on_request_only(maker, pairs):
    wide = np.flatnonzero(~pairs.portrait(FRAMING)[pairs.images])
    is_question = np.array([len(pairs[int(row)].answers) > 0 for row in wide])
    settings = {**vars(maker), "exchanged": 0.0}
    masked = PairBatches(**settings).make(key(wide)).words >= 0
    assert masked[is_question].any()
    batch = PairBatches(**{**settings, "masks_questions": False}).make(key(wide))
    assert not (batch.words >= 0)[is_question].any()
    assert (batch.words >= 0)[~is_question].any()
    exchanged = PairBatches(**{**settings, "exchanged": 1.0, "masks_questions": False})
    batch = exchanged.make(key(wide))
    # A question stays whole in an exchanged pair, too, so that masks do not reveal the exchange.
    mark = int(maker.pieces.encode(["?"], 12)[0, 1])
    is_question = (batch.pieces == mark).any(1)
    assert is_question.any()
    assert not (batch.pieces[is_question] == maker.pieces.mask).any()


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_share_of_exchanged_sentences_is_set(maker, pairs, share):
    maker = PairBatches(**{**vars(maker), "exchanged": share})
    wide = np.flatnonzero(~pairs.portrait(FRAMING)[pairs.images])
    batches = [maker.make(key(wide, number)) for number in range(4)]
    matching = torch.cat([batch.matching for batch in batches]).double()
    assert matching.mean().item() == pytest.approx(1 - share, abs=0.05)


def test_exchanged_sentences_belong_to_other_images(maker, pair_folder, tmp_path):
    records = [
        {"img_id": f"shape_{k}", "sentf": {"a": [f"{k} first", f"{k} second"]}} for k in (1, 2, 3)
    ]
    (tmp_path / "own_train.json").write_text(json.dumps(records))
    pairs = open_pairs(tmp_path, ["train"], pair_folder / "images")
    own = PairBatches(**{**vars(maker), "index": pairs})
    rng = np.random.default_rng(0)
    drawn = {own._other_sentence(pairs[2], rng).text for _ in range(60)}
    assert drawn == {"1 first", "1 second", "3 first", "3 second"}


def test_batches_have_one_orientation_and_cover_the_records():
    portrait = np.arange(103) % 4 == 0
    order = GroupedOrder(portrait, 10, seed=0)
    assert order.batches_per_epoch == 2 + 7
    epoch = [order.batch(number) for number in range(9)]
    for batch in epoch:
        assert len(set(portrait[batch])) == 1
    assert len(set(np.concatenate(epoch))) == 90
    later = [order.batch(number) for number in range(9, 18)]
    assert not np.array_equal(np.concatenate(epoch), np.concatenate(later))
    assert np.array_equal(GroupedOrder(portrait, 10, seed=0).batch(12), later[3])
    exact = list(exact_batches(portrait, 10))
    assert sorted(np.concatenate(exact)) == list(range(103))
    assert all(len(set(portrait[batch])) == 1 for batch in exact)
    with pytest.raises(ValueError, match="a batch needs at least 200"):
        GroupedOrder(portrait, 400, seed=0, multiple=200)


def test_pairs_of_an_image_follow_each_other():
    images, portrait = np.arange(96) // 8, np.arange(96) // 8 % 4 == 0
    order = GroupedOrder(portrait, 12, seed=0, groups=images, group_size=4)
    epoch = np.concatenate([order.batch(number) for number in range(order.batches_per_epoch)])
    assert sorted(epoch) == list(range(96))
    groups = images[epoch].reshape(-1, 4)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:6, 0])) > 3  # the groups of an image are apart
    again = np.concatenate([order.batch(number) for number in range(8, 16)])
    assert set(map(frozenset, epoch.reshape(-1, 4))) != set(map(frozenset, again.reshape(-1, 4)))


def test_workers_give_the_same_batches_and_name_damaged_images(maker, pairs, pair_folder, tmp_path):
    keys = [key([0, 1]), key([4, 5], 1)]
    alone = list(load_batches(maker.make, keys, 0))
    state = torch.get_rng_state()
    parallel = list(load_batches(maker.make, keys, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for one, other in zip(alone, parallel, strict=True):
        assert torch.equal(one.pictures.pixels, other.pictures.pixels)
        assert torch.equal(one.pieces, other.pieces)
    images = tmp_path / "images"
    images.mkdir()
    for path in (pair_folder / "images").iterdir():
        (images / path.name).write_bytes(path.read_bytes())
    broken = open_pairs(pair_folder, ["train"], images)
    (images / "shape_1.png").write_bytes(b"no picture")
    (images / "shape_2.png").unlink()
    spoilt = PairBatches(**{**vars(maker), "index": broken})
    with pytest.raises(DamagedPictureError, match=r"^[^\n]*shape_1\.png: cannot be read[^\n]*$"):
        list(load_batches(spoilt.make, [key([0])], 1))
    with pytest.raises(FileNotFoundError, match=r"shape_2\.png"):
        list(load_batches(spoilt.make, [key([4])], 0))
