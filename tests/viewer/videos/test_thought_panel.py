import msgspec
import numpy as np
import pytest

from clipnav.envs.drawing.words import drawable
from clipnav.viewer.trace.format import ModelAnswer, ModelDecision
from clipnav.viewer.videos.timeline import phases


def thinking(trace, *thoughts):
    decisions = [ModelDecision((), (ModelAnswer("A", "valid"),), text) for text in thoughts]
    steps = [
        msgspec.structs.replace(step, model=decision)
        for step, decision in zip(trace.steps, decisions, strict=False)
    ]
    return msgspec.structs.replace(trace, steps=(*steps, *trace.steps[len(steps) :]))


def first_frame(frames_of, traces, size):
    frames = frames_of(traces, size)
    return frames.draw(next(phases(frames._walks)), 1.0)


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280)])
def test_a_video_shows_the_thought_of_the_model(frames_of, traces, size):
    plain = first_frame(frames_of, [traces[0]], size)
    short = first_frame(frames_of, [thinking(traces[0], "The sofa is ahead.")], size)
    long = first_frame(frames_of, [thinking(traces[0], "The sofa is ahead. " * 90)], size)
    assert short.shape == plain.shape
    assert np.any(short != plain)
    assert np.any(short != long)


@pytest.mark.usefixtures("no_system_fonts")
def test_characters_without_a_font_are_replaced():
    assert drawable("stop\U00013000") == "stop?"
    assert drawable("café") == "café"
