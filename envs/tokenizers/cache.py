"""Cache of vocabularies and token ids of large splits on disk.

`clipnav.storage.cache_dir() / "tokens"` has a file per vocabulary and per array of token ids. Its
name is a digest of everything that its content depends on, so an outdated file is never read. All
files may be deleted at any time.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from clipnav.envs.tokenizers.tokenizers import Tokenizer, WordTokenizer
from clipnav.storage import atomic_write, cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.locks import sole_maker

# Count up when a tokenizer gives other words or ids for the same texts.
FORMAT_VERSION = 1
# Splits with fewer instructions are faster to encode than to find in the cache.
FEWEST = 5_000
_DIGEST_BYTES = 32


def cached_vocabulary(sentences: Sequence[str]) -> WordTokenizer:
    """Return `WordTokenizer.build(sentences)`, from the cache if the sentences are many."""

    def make() -> bytes:
        return json.dumps(WordTokenizer.build(sentences).words).encode()

    if len(sentences) < FEWEST:
        return WordTokenizer.build(sentences)
    return WordTokenizer(json.loads(_cached(_name("vocabulary", sentences), make)))


def cached_tokens(tokenizer: Tokenizer, sentences: Sequence[str], length: int) -> np.ndarray:
    """Return the (E, length) int32 token ids of sentences, from the cache if they are many."""

    def encode() -> np.ndarray:
        rows = [np.asarray(tokenizer.encode(sentence, length)) for sentence in sentences]
        for row in rows:
            if row.shape != (length,) or row.dtype.kind not in "iu":
                raise UserError(
                    f"{type(tokenizer).__name__}.encode returns an array of shape {row.shape} and "
                    f"type {row.dtype}, but must return {length} integers, padded with 0"
                )
        return np.stack(rows).astype(np.int32, copy=False)

    if len(sentences) < FEWEST or tokenizer.description is None:
        return encode()
    name = _name(f"tokens {length} {tokenizer.description}", sentences)
    stored = _cached(name, lambda: encode().astype("<i4").tobytes())
    return np.frombuffer(stored, "<i4").reshape(len(sentences), length)


def _name(kind: str, sentences: Sequence[str]) -> str:
    """Return the name of the file for a result that depends on its kind and on sentences."""
    key = hashlib.sha256(json.dumps([FORMAT_VERSION, kind]).encode())
    # Lengths keep the sentences apart.
    key.update(np.array([len(sentence) for sentence in sentences]).tobytes())
    key.update("".join(sentences).encode("utf-8", "surrogatepass"))
    return key.hexdigest()


def _cached(name: str, make: Callable[[], bytes]) -> bytes:
    """Return the content of a file of the cache, which one process makes if it is missing."""
    path = cache_dir() / "tokens" / name
    content = _read(path)
    if content is not None:
        return content
    try:
        with sole_maker(path):
            content = _read(path)  # another process may have made it meanwhile
            if content is None:
                content = make()
                with atomic_write(path) as beside:
                    beside.write_bytes(hashlib.sha256(content).digest() + content)
    except OSError as error:
        warnings.warn(
            f"{path}: token ids cannot be cached ({error}); name another folder in CLIPNAV_CACHE",
            stacklevel=2,
        )
        content = make() if content is None else content
    return content


def _read(path: Path) -> bytes | None:
    """Return the content of a file; None if it is missing or damaged."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None
