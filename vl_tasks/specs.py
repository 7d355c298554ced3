"""The table of vision-and-language tasks, and the command line of their trainings.

Rows name their parts as "module:name", so that nothing is imported before it is used. A package
adds a row by an entry point of the group `clipnav.tasks`; `clipnav finetune package.module:SPEC`
and `register_task` take one directly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clipnav.storage.errors import UserError
from clipnav.storage.spec_table import Spec, SpecTable, is_row

if TYPE_CHECKING:
    from clipnav.vl_tasks.settings.runs import RunConfig

Config = TypeVar("Config", bound="RunConfig")
Flag = Callable[[str], str | None]  # from the name of a flag to its text; None if not given
PRESETS = Path(__file__).with_name("presets.toml")
_FINE_TUNED = ("clip-vil-p", "multilingual")  # models with presets of their own, PRESET-MODEL
# Settings that may differ from those of the run to start from: cache and precision of the encoder,
# and what is frozen.
_NOT_OF_START = frozenset({"grids.keep", "grids.precision", "trunk.frozen_norms"})
_ROOM = "clipnav.vl_tasks"
_VQA = (f"{_ROOM}.vqa.settings:VqaConfig", f"{_ROOM}.vqa.settings:vqa_defaults")


@dataclass(frozen=True)
class TaskSpec(Spec):
    """A row of the table of tasks.

    Attributes:
        name: Name of the task, which `task` of its settings returns.
        settings: Class of its settings, a subclass of `RunConfig` such as `QuestionConfig`.
        defaults: Function that returns the settings without flags. Its argument is a function from
            the name of a flag to its text or None.
        task: Class or function that makes the task from settings, such as a subclass of
            `clipnav.vl_tasks.classification.task.ClassificationTask`.
    """

    settings: str
    defaults: str
    task: str


_TABLE = SpecTable(
    "task",
    "clipnav.tasks",
    (
        TaskSpec("vqa", *_VQA, f"{_ROOM}.vqa.task:VqaTask"),
        TaskSpec("multilingual-vqa", *_VQA, f"{_ROOM}.multilingual.task:MultilingualTask"),
        TaskSpec(
            "gqa",
            f"{_ROOM}.gqa.settings:GqaConfig",
            f"{_ROOM}.gqa.settings:gqa_defaults",
            f"{_ROOM}.gqa.task:GqaTask",
        ),
        TaskSpec(
            "snli-ve",
            f"{_ROOM}.entailment.settings:EntailmentConfig",
            f"{_ROOM}.entailment.settings:entailment_defaults",
            f"{_ROOM}.entailment.task:EntailmentTask",
        ),
        TaskSpec(
            "captions",
            f"{_ROOM}.captioning.settings:CaptionConfig",
            f"{_ROOM}.captioning.settings:caption_defaults",
            f"{_ROOM}.captioning.task:CaptionTask",
        ),
        TaskSpec(
            "pretrain-vl",
            f"{_ROOM}.clip_vil_p.settings:PretrainVlConfig",
            f"{_ROOM}.clip_vil_p.settings:pretraining_defaults",
            f"{_ROOM}.clip_vil_p.pretraining:PretrainingTask",
        ),
    ),
)


def register_task(spec: TaskSpec) -> None:
    """Add a row to the table in this process, or replace a row that was added.

    Raises:
        UserError: A task of clipnav has the name.
    """
    _TABLE.add(spec)


def task_spec(name: str) -> TaskSpec:
    """Return the row of a task by its name."""
    return _TABLE.row(name)


def task_names() -> list[str]:
    """Return the names of all tasks, those of installed packages last."""
    return _TABLE.names()


def parse_task(name: str, arguments: Sequence[str], description: str | None = None) -> Any:
    """Return the settings of a task's training from its command line.

    --preset, --data, --model and --start-from are read first because they choose the defaults of
    the other flags; --config takes all defaults from a file, --resume from the resumed run.
    """
    from clipnav.training.resuming import early_values, parse_run
    from clipnav.training.settings import check_same_run
    from clipnav.vl_tasks.settings.runs import RunConfig

    spec = _TABLE.load(name) if is_row(name) else _TABLE.row(name)
    kind = spec.subclass("settings", RunConfig)
    config = parse_run(
        kind,
        arguments,
        description,
        defaults=lambda: spec.call("defaults", early_values(arguments).get, kind=kind),
        idle=kind.unused_options,
        may_change=kind.MAY_CHANGE,
    )
    # Tasks that start from no other run have no such flag.
    start: Path | None = getattr(config, "start_from", None)
    if kind.OF_START and start is not None and config.resume is None:
        others = {field.name for field in fields(kind)} - kind.OF_START | _NOT_OF_START
        hint = (
            "omit the flags or the file --config to start from its weights, or train a new run "
            "without --start-from"
        )
        whose = "the command line"
        check_same_run(start, config, frozenset(others), whose, hint)
    return config


def chosen_preset(kind: type[Config], flag: Flag, *sections: str) -> Config:
    """Return the preset of a command line, which --preset or --data, and --model choose.

    Args:
        kind: Class of the settings.
        sections: Sections of presets.toml, in order.
    """
    from clipnav.training.run_settings import read_presets

    preset = flag("preset") or preset_of_data(flag("data") or "house", kind)
    model = flag("model")
    if model is None and flag("objective") == "masked-words":
        model = "multilingual"
    if model in _FINE_TUNED and f"{preset}-{model}" in kind.PRESETS:
        preset = f"{preset}-{model}"
    if preset not in kind.PRESETS:
        listed = ", ".join(kind.PRESETS)
        raise UserError(f"--preset {preset} does not exist; choose one of {listed}")
    config = kind(preset=preset)
    for section in sections:
        config = read_presets(config, PRESETS, section)
    return config


def preset_of_data(data: str, kind: type["RunConfig"]) -> str:
    """Return the name of the default preset for data."""
    from clipnav.vl_tasks.house_tasks import HouseTaskFiles

    if data == "house" or HouseTaskFiles(Path(data)).summary.is_file():
        return "houses"
    return data if data in kind.PRESETS else "small"


def read_question_config(run: Path) -> Any:
    """Read the settings of a run of question answering, of any task."""
    from clipnav.storage.json_files import read_json
    from clipnav.training.settings import CONFIG, read_config
    from clipnav.vl_tasks.settings.runs import QuestionConfig

    path, command = run / CONFIG, None
    if path.is_file():
        values = read_json(path, "name a run of clipnav finetune", allow_nan=True)
        command = values.get("command") if isinstance(values, dict) else None
    kinds = (
        kind
        for kind in _TABLE.parts("settings")
        if isinstance(kind, type) and issubclass(kind, QuestionConfig)
    )
    first = next(kinds)
    if command in (None, first.COMMAND):
        return read_config(run, first)
    return read_config(run, next((kind for kind in kinds if kind.COMMAND == command), first))
