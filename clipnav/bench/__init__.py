"""The bench: frozen suites, results that anybody can score again, sealed rounds and the board."""
