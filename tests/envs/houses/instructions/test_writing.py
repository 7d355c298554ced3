import numpy as np
import pytest

from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.instructions.writing import LONG, SHORT, TextWriter
from clipnav.envs.houses.language.annotators import annotators_of
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import R2R_TAG, TAGS, language_of
from clipnav.envs.houses.language.symbolic_follower import follow, follow_online
from tests.envs.houses.conftest import make_survey

PATHS = [(7, 6, 0, 1, 2, 8, 9), (9, 8, 2, 3, 4, 5, 10, 11), (11, 10, 5, 12, 13, 14, 15)]
LONG_PATH = (7, 6, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16)


def make_writer(mirrored: bool, seed: int = 0) -> TextWriter:
    survey = make_survey(mirrored)
    return TextWriter(survey, Routes.of(survey.cameras, survey.edges), np.random.default_rng(seed))


@pytest.mark.parametrize("mirrored", [False, True])
def test_every_text_is_read_exactly_and_leads_to_its_goal(mirrored):
    writer = make_writer(mirrored)
    reached, tried = 0, 0
    for path in PATHS:
        for heading in (0.5, 2.5, 4.5):
            texts = writer.short(path, heading, 3)
            assert len({text.instruction.text for text in texts}) == 3
            for text in texts:
                acts = parse(language_of(R2R_TAG), text.instruction.text)
                assert acts == list(text.acts), text.instruction.text
                assert writer.is_hit(follow(writer.sight, acts, path[0], heading).path[-1], path)
                reached += writer.is_hit(
                    follow_online(writer.sight, acts, path[0], heading)[-1], path
                )
                tried += 1
    assert reached >= 0.7 * tried


@pytest.mark.parametrize("tag", TAGS)
def test_long_texts_are_clear(tag):
    writer = make_writer(False)
    written = writer.long(tag, LONG_PATH, 1.0)
    assert written is not None
    assert parse(language_of(tag), written.instruction.text) == list(written.acts)
    assert LONG.words[0] <= len(written.instruction.text.split(" ")) <= LONG.words[1]
    followed = follow(writer.sight, written.acts, LONG_PATH[0], 1.0)
    assert followed.is_complete
    assert all(writer.is_hit(end, LONG_PATH) for end in followed.ends)
    assert written.annotator in annotators_of(tag)


@pytest.mark.parametrize("tag", ["en-US", "te-IN"])
def test_alignments_name_the_clauses_their_edges_and_their_objects(tag):
    writer = make_writer(False)
    for style in (SHORT, LONG):
        written = writer.write(tag, annotators_of(tag)[0], LONG_PATH, 1.0, style)
        assert written is not None
        text, spans = written.instruction.text, written.instruction.spans
        assert len(spans) == len(written.acts)
        assert written.instruction.alignment[0][:2] == [spans[0].start, spans[0].end]
        end, position = 0, 0
        for span, act in zip(spans, written.acts, strict=True):
            assert end <= span.start < span.end <= len(text)
            assert parse(language_of(tag), text[span.start : span.end]) == [act]
            assert position == span.first <= span.last
            assert bool(span.things) == (act.mention is not None)
            if act.mention:
                assert writer.sight.fits(act.mention)[list(span.things)].all()
            end, position = span.end, span.last
        assert position == len(LONG_PATH) - 1


def test_equal_seeds_give_equal_texts():
    first, again, other = (make_writer(False, seed).short(PATHS[0], 1.0, 3) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_texts_that_an_agent_without_a_map_cannot_follow_are_written_again():
    def rate(checked: float) -> float:
        writer, hits = make_writer(False), []
        for path in PATHS * 8:
            style = SHORT.__class__(True, SHORT.words, SHORT.statements, 24, checked, 0.0)
            written = writer.write(R2R_TAG, annotators_of(R2R_TAG)[0], path, 1.0, style)
            assert written is not None
            end = follow_online(writer.sight, written.acts, path[0], 1.0)[-1]
            hits.append(writer.is_hit(end, path))
        return float(np.mean(hits))

    assert rate(1.0) == 1


def test_a_goal_without_a_landmark_has_no_text():
    assert make_writer(False).short((7, 6, 0), 0.0, 3) == []
