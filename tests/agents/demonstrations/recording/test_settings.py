"""Settings of an export."""

from pathlib import Path

import pytest

from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.settings import PromptConfig


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"format": "navila", "environment": "graph"}, "--format navila has steps of 25 cm"),
        ({"format": "llava", "environment": "continuous"}, "decisions between viewpoints"),
        ({"teacher_probability": 0.5}, "--teacher-probability 0.5 has no effect without --policy"),
        ({"max_episode_steps": 5}, "--max-episode-steps 5 has no effect"),
        ({"media": "video"}, "--media video has no effect"),
        (
            {"format": "lerobot", "prompt": PromptConfig("mapgpt")},
            "--strategy mapgpt has no effect",
        ),
        ({"prompt": PromptConfig("navgpt")}, "--strategy navgpt: its descriptions"),
        ({"prompt": PromptConfig(stop_after=3)}, "--stop-after 3 has no effect"),
        ({"prompt": PromptConfig(most_repeats=5)}, "--most-repeats 5 has no effect on graphs"),
        ({"prompt": PromptConfig(picture_detail="low")}, "--picture-detail low has no effect on"),
        (
            {"format": "messages", "prompt": PromptConfig(pictures="none", image_size=32)},
            "--image-size 32 has no effect with --pictures none",
        ),
        ({"policy": Path("run"), "teacher_probability": 1.5}, "must be a number from 0 to 1"),
        ({"workers": 0}, "--workers 0: must be at least 1"),
        ({"seed": -1}, "--seed -1"),
        ({"jpeg_quality": 100}, "--jpeg-quality 100: must be at most 95"),
        ({"vertical_fov": float("nan")}, "--vertical-fov nan"),
        ({"prompt": PromptConfig(image_size=10**6)}, "--image-size 1000000"),
        (
            {"format": "lerobot", "media": "video", "prompt": PromptConfig(image_size=33)},
            "videos require even numbers",
        ),
    ],
)
def test_contradictions_are_refused(settings, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        DemonstrationConfig(**settings)
    assert "\n" not in str(caught.value)


def test_each_format_has_its_environment():
    assert DemonstrationConfig().walks_in == "graph"
    assert DemonstrationConfig(format="lerobot").walks_in == "graph"
    for name in ("streamvln", "navila", "uni-navid"):
        assert DemonstrationConfig(format=name).walks_in == "continuous"
    assert DemonstrationConfig(format="lerobot", environment="continuous").walks_in == "continuous"
