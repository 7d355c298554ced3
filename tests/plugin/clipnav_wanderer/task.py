"""A question task: the colour in an image, from lines "IMAGE COLOUR" of SPLIT.txt."""

from clipnav.vl_tasks.classification.task import ClassificationTask
from clipnav.vl_tasks.gqa.questions import ImageQuestion


class ColourTask(ClassificationTask):
    """The same question about each image."""

    def read(self, split, secret=False):
        lines = (self.folder / f"{split}.txt").read_text().splitlines()
        return [ImageQuestion(image, "colour?", image, one) for image, one in map(str.split, lines)]
