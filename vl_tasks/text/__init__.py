"""Words: vocabularies, tokenizers, n-grams, GloVe."""
