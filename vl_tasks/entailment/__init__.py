"""Visual entailment: classify whether an image entails or contradicts a sentence, or neither."""
