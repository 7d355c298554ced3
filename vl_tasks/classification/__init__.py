"""Classification of texts about images: answers to questions, or labels of hypotheses."""
