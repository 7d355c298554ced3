"""Read the vocabulary of a run with the tokenizer that wrote it, or R2R's list of words."""

import json
from pathlib import Path
from typing import Any

from clipnav.envs.tokenizers.pretrained import PretrainedTokenizer
from clipnav.envs.tokenizers.protocol import Tokenizer
from clipnav.envs.tokenizers.subwords import SubwordTokenizer
from clipnav.envs.tokenizers.words import BOS, WordTokenizer
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_bytes, read_json

_REMEDY = "train the run again"


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Read the tokenizer that `Tokenizer.save` wrote: words, subwords or a Hugging Face model's.

    A .txt file is a list of words, one per line, as R2R's `train_vocab.txt`. That file lacks <BOS>,
    which EnvDrop appends (`r2r_src/utils.py`).

    Args:
        path: The file, such as RUN/vocabulary.json.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file does not contain a vocabulary; or the Hugging Face model that it names
            cannot be read.
    """
    try:
        if Path(path).suffix == ".txt":
            return _read_words(path)
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
    """Read the tokenizer of a run."""
    if not path.is_file():
        source = f"{flag} {path.parent} (given or set by --config)" if flag else path.parent
        raise FileNotFoundError(
            f"{path}: no such file; {source} is not the folder of a run that has started training; "
            "name another run"
        )
    return load_tokenizer(path)


def _read_words(path: str | Path) -> WordTokenizer:
    remedy = "download the file again"
    try:
        words = read_bytes(path, remedy).decode().split()
        return WordTokenizer(words if BOS in words else [*words, BOS])
    except ValueError as error:
        raise UserError(f"{path}: not a vocabulary ({error}); {remedy}") from error


def _read_subwords(saved: Any, path: str | Path) -> SubwordTokenizer:
    from tokenizers import Tokenizer as HuggingFaceTokenizer

    try:
        return SubwordTokenizer(HuggingFaceTokenizer.from_str(json.dumps(saved)))
    except Exception as error:  # tokenizers raises no exception of its own
        raise UserError(f"{path}: not a vocabulary ({error}); {_REMEDY}") from error
