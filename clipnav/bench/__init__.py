"""The bench: frozen suites, results that anybody can verify, sealed rounds and the board."""
