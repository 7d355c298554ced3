"""Translation of questions by a Marian model of transformers, kept in the cache.

multilingual-vqa translated VQA v2's questions with opus-mt models, 4 beams and at most 64 tokens.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipnav.storage import append_bytes, cache_dir
from clipnav.storage.hugging_face import load_hugging_face_tokenizer, load_translation_model
from clipnav.storage.json_files import decode_part, read_json_object, write_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.progress import progress_bar
from clipnav.training.distributed import check_device
from clipnav.training.interruption import interruption_message
from clipnav.vl_tasks.data.questions import HINT, read_questions
from clipnav.vl_tasks.data_folders import split_file
from clipnav.vl_tasks.house_tasks.languages.lexicons import LANGUAGES_FOLDER
from clipnav.vl_tasks.multilingual.settings import TranslationConfig

_MARK = "translation"  # field of the files that this module writes


class Translator:
    """A Marian model with its translations on disk."""

    def __init__(self, config: TranslationConfig) -> None:
        self._config = config
        self._model = load_translation_model(config.model).to(config.device)
        self._tokenizer: Any = load_hugging_face_tokenizer(config.model)
        self.path = cache_dir() / "translations" / f"{self._digest()}.jsonl"

    def translate(self, texts: Sequence[str]) -> list[str]:
        """Translate texts with a progress bar; an interrupted translation is resumed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_lock(self.path):
            known = self._read()
            # Neighbours have similar lengths, so that batches contain little padding.
            missing = sorted(set(texts) - known.keys(), key=lambda text: (len(text), text))
            hint = f"translations are kept in {self.path}; run the same command again to resume"
            with (
                interruption_message(lambda: hint),
                progress_bar(total=len(missing), desc="translating", unit="questions") as bar,
            ):
                for start in range(0, len(missing), self._config.batch_size):
                    batch = missing[start : start + self._config.batch_size]
                    translated = dict(zip(batch, self._generate(batch), strict=True))
                    self._append(translated)
                    known |= translated
                    bar.update(len(batch))
        return [known[text] for text in texts]

    @torch.inference_mode()
    def _generate(self, texts: Sequence[str]) -> list[str]:
        prefix = f"{self._config.prefix} " if self._config.prefix else ""
        inputs = self._tokenizer(
            [prefix + text for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._model.config.max_position_embeddings,
        ).to(self._config.device)
        generated = self._model.generate(
            **inputs, num_beams=self._config.beams, max_length=self._config.max_length
        )
        decoded = self._tokenizer.batch_decode(generated, skip_special_tokens=True)
        return [text.strip() for text in decoded]

    def _digest(self) -> str:
        """Return a digest of all that translations depend on."""
        config = self._config
        generation = self._model.generation_config.to_diff_dict()
        generation.pop("transformers_version", None)
        chosen = [config.prefix, config.beams, config.max_length, generation]
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        digest.update(json.dumps(vocabulary).encode())
        for pieces in (self._tokenizer.spm_source, self._tokenizer.spm_target):
            digest.update(pieces.serialized_model_proto())
        return digest.hexdigest()[:24]

    def _read(self) -> dict[str, str]:
        """Read the translations; an unfinished last line of an interrupted run is removed."""
        if not self.path.is_file():
            return {}
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        known: dict[str, str] = {}
        for number, line in enumerate(whole.splitlines()):
            place = f"{self.path}: line {number + 1} is damaged"
            text, translation = decode_part(line, tuple[str, str], place, "delete the file")
            known[text] = translation
        return known

    def _append(self, translations: dict[str, str]) -> None:
        lines = (json.dumps(pair, ensure_ascii=False) + "\n" for pair in translations.items())
        append_bytes(self.path, "".join(lines).encode())


def translate_questions(config: TranslationConfig) -> list[Path]:
    """Translate the questions of splits, and write them with the ids of the English questions.

    A question whose translation is empty keeps its English text; their number is printed. The field
    `translation` of a file contains the name of the model; files without it, such as the work of
    a human translator, are not overwritten.
    """
    check_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    sources = {
        split: split_file(config.data, split, "_questions.json", flags="--splits")
        for split in config.splits
    }
    questions = {split: read_questions(path) for split, path in sources.items()}
    folder = config.data / LANGUAGES_FOLDER / config.language
    targets = {split: folder / path.name for split, path in sources.items()}
    for target in targets.values():
        _check_replaceable(target)
    translator = Translator(config)
    for split, path in sources.items():
        texts = [one.text for one in questions[split]]
        translations = translator.translate(texts)
        empty = sum(not text for text in translations)
        if empty:
            print(f"{split}: {empty} translations are empty; these questions stay English")
        content = read_json_object(path, HINT)
        for record, text in zip(content["questions"], translations, strict=True):
            record["question"] = text or record["question"]
        folder.mkdir(parents=True, exist_ok=True)
        write_json(targets[split], {**content, _MARK: {"model": config.model}})
    return list(targets.values())


def _check_replaceable(path: Path) -> None:
    """Check that a file does not exist, or is a translation of this command."""
    hint = "move it to another folder"
    if path.exists() and _MARK not in read_json_object(path, hint):
        raise FileExistsError(
            f"{path}: is not a file of clipnav translate-questions, which does not overwrite it; "
            f"{hint}"
        )
