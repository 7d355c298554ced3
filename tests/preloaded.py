"""Imports of processes whose forks run commands and jobs of the tests."""

# ruff: noqa: E402
import gc

gc.disable()  # the objects of modules stay

import open_clip  # noqa: F401
from transformers import BertModel  # noqa: F401

from clipnav import cli  # noqa: F401
from clipnav.agents.clear import training  # noqa: F401
from clipnav.agents.duet import learner as fine_tuning  # noqa: F401
from clipnav.agents.envdrop import learner, speaker_training  # noqa: F401
from clipnav.agents.experiments import runs  # noqa: F401
from clipnav.encoders import clip  # noqa: F401
from clipnav.envs.houses.building import house  # noqa: F401
from clipnav.envs.panoramas import ray_tracer  # noqa: F401
from clipnav.vl_tasks.house_tasks import captions, hypotheses, images, questions  # noqa: F401
from clipnav.vl_tasks.vqa import task  # noqa: F401

# Otherwise each fork copies the pages of all these objects when it collects garbage.
gc.collect()
gc.freeze()
gc.enable()
