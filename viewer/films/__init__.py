"""Films of walks: view, attention, map, candidates and figures at each step, and the outcome."""

from clipnav.viewer.films.filming import FilmSettings, film_walks
from clipnav.viewer.films.layout import arranged, parse_size
from clipnav.viewer.films.writing import check_kind

__all__ = ["FilmSettings", "arranged", "check_kind", "film_walks", "parse_size"]
