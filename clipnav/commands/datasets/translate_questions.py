"""Translate the questions of a dataset with a Marian model, for multilingual VQA.

$ clipnav translate-questions --model Helsinki-NLP/opus-mt-en-fr --language fr --data data/vqa
$ clipnav translate-questions --model models/opus-mt-en-de --language de --splits train val

The command writes the translations into DATA/languages/LANGUAGE/, which is read by
clipnav finetune-vqa --model multilingual. To resume an interrupted translation, run the same
command again.
"""

from collections.abc import Sequence

from clipnav.parsing import parse
from clipnav.vl_tasks.multilingual.settings import TranslationConfig


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and translate."""
    config = parse(TranslationConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.multilingual.translation import translate_questions

    for path in translate_questions(config):
        print(path)
