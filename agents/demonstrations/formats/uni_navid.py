"""Uni-NaVid's navigation data: LLaVA's conversations about videos.

`annotations.json` is a list of `{"id": "NAV_ID_...", "video": "videos/....mp4", "conversations"}`,
whose conversation is a prompt with `<image>` and an answer such as "forward left forward stop". A
video has one frame a second, from the start of the walk up to the current picture. The answer has
the next four actions, fewer at the end: forward 25 cm, left 30 degrees, right 30 degrees, stop. The
prompt contains the sentence by which Uni-NaVid's loader recognises navigation.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.agents.demonstrations.formats.conversations import Turn
from clipnav.agents.demonstrations.formats.files import (
    ANNOTATIONS,
    HINT,
    IMAGE,
    WORDS,
    checked_record,
    inside,
    read_video,
    stopping,
    write_beginnings,
    write_records,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk, Source
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.pictures import load_picture
from clipnav.storage.records import read_records

_ID_MARK = "NAV_ID"
# constants.NAVIGATION_IDENTIFIER of Uni-NaVid; other records are questions about videos to it.
_IDENTIFIER = "a video of historical observations and an image of the current observation"
_ACTIONS_PER_ANSWER = 4
_PROMPT = (
    "{image}\nYou control a robot that follows an instruction. You get {identifier}. "
    "Instruction: '{instruction}' Answer with the next four actions, each of them forward, left, "
    "right or stop."
)


class UniNavidRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record of an answer; the last three keys are our own."""

    id: str
    video: str
    conversations: list[Turn]
    instr_id: str
    language: str
    sources: list[Source]

    @property
    def answer(self) -> list[str]:
        """Words of the answer."""
        return self.conversations[-1].value.split(" ")


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write records and videos of continuous walks; see `Writer`."""
    records = []
    for number, walk in stopping(walks):
        frames = [np.asarray(load_picture(pictures / step.picture)) for step in walk.steps]
        instruction = one_line(walk.instruction).replace(IMAGE, "[image]")
        prompt = _PROMPT.format(image=IMAGE, identifier=_IDENTIFIER, instruction=instruction)
        starts = range(0, len(frames), _ACTIONS_PER_ANSWER)
        videos = {start: f"videos/{number:06d}_{start:03d}.mp4" for start in starts}
        write_beginnings({folder / video: start + 1 for start, video in videos.items()}, frames)
        for start, video in videos.items():
            steps = walk.steps[start : start + _ACTIONS_PER_ANSWER]
            answer = " ".join(WORDS[step.label] for step in steps)
            records.append(
                UniNavidRecord(
                    id=f"{_ID_MARK}_{walk.instr_id}_{start}",
                    video=video,
                    conversations=[Turn("human", prompt), Turn("gpt", answer)],
                    instr_id=walk.instr_id,
                    language=walk.language,
                    sources=[step.source for step in steps],
                )
            )
    write_records(folder / ANNOTATIONS, records)


def read(folder: Path, shape: tuple[int, int] | None = None) -> list[UniNavidRecord]:
    """Read an export strictly, videos included."""
    path = folder / ANNOTATIONS
    records = read_records(path, UniNavidRecord, HINT)
    for number, record in enumerate(records):
        with checked_record(path, number, f"id {record.id}"):
            if _ID_MARK not in record.id:
                raise UserError(f"its id does not contain {_ID_MARK}")
            if [turn.speaker for turn in record.conversations] != ["human", "gpt"]:
                raise UserError("the turns are not human, gpt")
            prompt = record.conversations[0].value
            if _IDENTIFIER not in prompt or prompt.count(IMAGE) != 1:
                raise UserError(f"the prompt lacks {IMAGE} or the sentence that marks navigation")
            words = record.answer
            if not 1 <= len(words) <= _ACTIONS_PER_ANSWER or set(words) - set(WORDS.values()):
                raise UserError(
                    f"the answer {record.conversations[1].value!r} is no list of actions"
                )
            if "stop" in words[:-1] or (len(words) < _ACTIONS_PER_ANSWER and words[-1] != "stop"):
                raise UserError("the answer does not end with its stop")
            start = int(record.id.rpartition("_")[2])
            frames = read_video(inside(folder, record.video))
            if len(frames) != start + 1:
                raise UserError(f"{record.video} has {len(frames)} frames instead of {start + 1}")
            if shape is not None and frames[0].shape[:2] != shape:
                raise UserError(
                    f"{record.video} has the size {frames[0].shape[:2]} instead of {shape}"
                )
    return records


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    camera = manifest["camera"]
    records = read(folder, (camera["height"], camera["width"]))
    walks = {record.instr_id for record in records}
    return f"{pluralise(len(walks), 'walk')}, {pluralise(len(records), 'answer')}"
