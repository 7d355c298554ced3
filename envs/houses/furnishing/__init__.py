"""Choice and placement of furniture in the rooms of a floor plan."""
