"""Questions and captions about the houses in French, German, Spanish, Hindi and Telugu.

Each language has a lexicon with nouns, colours and frames, and forms of its phrases. The meaning of
a question is its kind and its subject, as in English; nothing is translated by a machine.
"""
