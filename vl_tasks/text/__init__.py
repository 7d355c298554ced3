"""Text processing: vocabularies, tokenizers, n-grams and GloVe vectors."""
