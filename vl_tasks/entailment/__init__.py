"""Visual entailment: does a picture bear out a sentence?"""
