"""Episodes with goals in the built-in houses: objects, descriptions, dialogs and categories."""
