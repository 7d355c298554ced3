"""Episodes of the tiny world and agents that walk them."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from clipnav.envs.continuous.environments.making import make_continuous_vector_env
from clipnav.envs.episodes import load_episodes
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.panoramas import Panorama
from clipnav.envs.pictures.panorama_files import DrawnPictures
from clipnav.envs.worlds import world_files
from clipnav.viewer.site.library import Library
from clipnav.viewer.trace import record
from clipnav.viewer.trace.building import Setting
from clipnav.viewer.trace.continuous import ContinuousRecorder


class TeacherWithReasons:
    """Agent that follows the teacher and explains its actions with known values."""

    def begin(self, observation, info, live):
        self.steps = 0

    def act(self, observation, info, live):
        actions = np.asarray(info["teacher_action"])[live]
        width = int(observation["action_mask"][live].sum(1).max())
        chances = np.full((len(live), width), 0.1)
        chances[np.arange(len(live)), actions] = 0.9
        words = observation["instruction"].shape[1]
        attention = np.zeros((len(live), words))
        attention[:, 1 + self.steps % 4] = 1.0
        views = np.zeros((len(live), 36))
        views[:, 12 + self.steps % 12] = 1.0
        self.reasons = {
            "probabilities": chances,
            "stop": chances[:, 0],
            "value": np.full(len(live), 0.5),
            "word_attention": attention,
            "view_attention": views,
        }
        self.steps += 1
        return actions

    def explain(self):
        return self.reasons


class Wanderer:
    """Agent that always takes the first candidate."""

    def begin(self, observation, info, live):
        pass

    def act(self, observation, info, live):
        return np.ones(len(live), int)


@pytest.fixture(scope="session")
def teacher():
    return TeacherWithReasons()


@pytest.fixture(scope="session")
def wanderer():
    return Wanderer()


@pytest.fixture(scope="session")
def make_env():
    return tiny_vector_env


@pytest.fixture(scope="session")
def tiny_env(tiny_arguments):
    return tiny_vector_env("train", tiny_arguments)


@pytest.fixture(scope="session")
def secret_env(tiny_arguments):
    return tiny_vector_env("test", tiny_arguments)


def tiny_vector_env(split, arguments):
    return make_vln_vector_env(
        4,
        split=split,
        shuffle=False,
        autoreset_mode=AutoresetMode.DISABLED,
        observe="indices",
        max_episode_steps=6,
        **arguments,
    )


@pytest.fixture(scope="session")
def traces(tiny_env, teacher, wanderer):
    """Traces of all episodes of the training split, by the teacher and by the wanderer."""
    ids = [episode.instr_id for episode in tiny_env.episodes]
    named = {"teacher": teacher, "wanderer": wanderer}
    return [
        trace for name, agent in named.items() for trace in record(tiny_env, agent, ids, name=name)
    ]


@pytest.fixture
def empty_library(tiny_world):
    return Library(world_files("matterport", tiny_world), "r2r")


@pytest.fixture
def library(empty_library, traces):
    """Library of all episodes of the training split."""
    empty_library.add(traces)
    return empty_library


@pytest.fixture
def continuous_library(expert_trace):
    """Library of the expert's continuous walk."""
    library = Library(world_files("houses"), "r2r")
    library.add([expert_trace])
    return library


@pytest.fixture(scope="session")
def grey():
    """Function that draws a grey panorama, brighter to the east, with a dark lower half."""

    def draw(scan, viewpoint, width):
        row = np.linspace(60, 230, width).astype(np.uint8)
        picture = np.repeat(np.tile(row, (width // 2, 1))[..., None], 3, axis=2)
        picture[width // 4 :] //= 2
        distance = np.full(picture.shape[:2], 2.0, np.float32)
        return Panorama(picture, distance, np.full(picture.shape[:2], -1, np.int32))

    return draw


@pytest.fixture(scope="session")
def pictures(grey, tmp_path_factory):
    """Grey panoramas, each of which is drawn once."""
    folder = tmp_path_factory.mktemp("pictures")
    return DrawnPictures(grey, lambda scan: folder / scan)


@pytest.fixture(scope="session")
def make_recorder():
    """Makes recorders of continuous walks on the first episodes of a built-in house."""

    def make(agent, size=1, **changes):
        episodes = load_episodes("r2r", "val_unseen", world_files("houses"))
        arguments = {"split": "val_unseen", "observe": (), **changes}
        env = make_continuous_vector_env(size, "Disabled", **arguments)
        return ContinuousRecorder(env, episodes, Setting(agent, "houses", "r2r", "val_unseen"))

    return make


@pytest.fixture(scope="session")
def expert_trace(make_recorder):
    """Continuous walk of the expert."""
    (trace,) = make_recorder("expert").record(["26000_0"])
    return trace
