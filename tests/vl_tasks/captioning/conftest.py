import random

import pytest

WORDS = "a the man dog cat on with red blue hat sofa table is sitting near by of two".split()


def _made_up(images, seed=0):
    rng = random.Random(seed)

    def caption():
        return " ".join(rng.choices(WORDS, k=rng.choice([0, 1, 2, 3, 5, 8, 9, 10, 11, 15])))

    def near(text):
        words = text.split()
        for _ in range(rng.randrange(3)):
            if words:
                words[rng.randrange(len(words))] = rng.choice(WORDS)
        return " ".join(words)

    references = {k: [caption() for _ in range(rng.randint(1, 6))] for k in range(images)}
    predictions = {
        k: near(rng.choice(given)) if rng.random() < 0.8 else caption()
        for k, given in references.items()
    }
    return predictions, references


@pytest.fixture(scope="session")
def made_up():
    """Makes captions that share words: predictions and references of so many pictures.

    Some captions are empty or one word long, some predictions equal a reference.
    """
    return _made_up
