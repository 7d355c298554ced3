"""What route instructions say, in no language, and how English, Hindi and Telugu say it."""
