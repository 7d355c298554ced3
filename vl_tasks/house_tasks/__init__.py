"""Questions, hypotheses and captions about the built-in houses, generated from ground truth.

The files have the formats of VQA v2, GQA, SNLI-VE, Karpathy's COCO split and LXMERT; images are
JPEG files named as in COCO. The splits are "train", "val_seen" (other viewpoints in the training
houses) and "val_unseen" (houses without training images).
"""

from clipnav.vl_tasks.house_tasks.files import HouseTaskFiles
from clipnav.vl_tasks.house_tasks.generation import (
    SPLITS,
    HouseTasksConfig,
    cached_house_tasks,
    make_house_tasks,
)

__all__ = ["SPLITS", "HouseTaskFiles", "HouseTasksConfig", "cached_house_tasks", "make_house_tasks"]
