"""Export of demonstrations: frames and actions along walks, in the formats of other trainings."""
