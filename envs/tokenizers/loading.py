"""Read the vocabulary file of a run with the tokenizer that wrote it."""

import json
from pathlib import Path
from typing import Any

from envs.tokenizers.pretrained import PretrainedTokenizer
from envs.tokenizers.protocol import Tokenizer
from envs.tokenizers.subwords import SubwordTokenizer
from envs.tokenizers.words import WordTokenizer
from storage.errors import UserError
from storage.json_files import read_json

_REMEDY = "train the run again"


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read the tokenizer that `Tokenizer.save` wrote: words, subwords or a Hugging Face model's.

    Args:
        path: The file, such as RUN/vocabulary.json.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file does not contain a vocabulary; or the Hugging Face model that it names
            cannot be read.
    """
    try:
        saved = read_json(path, _REMEDY)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(
            f"{path}: no such file of a vocabulary; name the vocabulary.json of a run, or "
            "leave it out to build one from the training split"
        ) from error
    if isinstance(saved, dict) and "pretrained" in saved:
        if not isinstance(saved["pretrained"], str):
            raise UserError(f"{path}: 'pretrained' is not the name of a model; {_REMEDY}")
        return PretrainedTokenizer(saved["pretrained"])
    if isinstance(saved, dict) and "subwords" in saved:
        return _read_subwords(saved["subwords"], path)
    try:
        if not all(isinstance(word, str) for word in saved["words"]):
            raise UserError("a word is not a string")
        return WordTokenizer(saved["words"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a vocabulary ({error}); {_REMEDY}") from error


def load_run_tokenizer(path: Path, flag: str = "") -> Tokenizer:
    """Read the tokenizer of a run.

    Args:
        path: RUN/vocabulary.json.
        flag: Flag that names the run, such as "--start-from", if the file --config may set it.

    Raises:
        FileNotFoundError: The folder is not a run; names it and the flag.
        UserError: As in `load_tokenizer`.
    """
    if not path.is_file():
        source = f"{flag} {path.parent} (given or set by --config)" if flag else path.parent
        raise FileNotFoundError(
            f"{path}: no such file; {source} is not the folder of a run that has started training; "
            "name another run"
        )
    return load_tokenizer(path)


def _read_subwords(saved: Any, path: str | Path) -> SubwordTokenizer:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

    try:
        return SubwordTokenizer(HuggingFaceTokenizer.from_str(json.dumps(saved)))
    except Exception as error:  # tokenizers raises no exception of its own
        raise UserError(f"{path}: not a vocabulary ({error}); {_REMEDY}") from error
