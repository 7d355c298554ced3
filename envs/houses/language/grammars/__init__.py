"""The grammars and lexicons of the instruction languages: English, Hindi and Telugu."""
