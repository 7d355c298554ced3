"""Settings of agents that ask a vision-language model."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import tyro

from clipnav.agents.settings.evaluation import BASELINES, SUBMISSIONS
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.worlds import World, is_built_in, world_spec
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import (
    check_counts,
    check_numbers,
    check_positive,
    check_unused_options,
)

StrategyName = Literal["plain", "mapgpt", "navgpt"]
PictureKind = Literal["candidates", "egocentric", "none"]
OnInvalid = Literal["end", "stay", "first", "random"]
AnswerFormat = Literal["auto", "schema", "object", "text"]
Environment = Literal["graph", "continuous"]
Answers = Literal["motions", "pixel", "waypoints"]
PointFollower = Literal["geodesic", "straight"]


@dataclass(frozen=True)
class PromptConfig:
    """Contents and wording of the prompts."""

    strategy: StrategyName = "plain"
    """Prompt of the model: plain (choice among labelled options), mapgpt (map and plan in words, a
    picture of each known place) or navgpt (descriptions in words, no pictures)."""
    pictures: PictureKind | None = None
    """Pictures of a decision: one of each candidate, views around the agent (egocentric), or none.
    By default candidates, and none for navgpt."""
    captioner: Path | None = None
    """Run of clipnav train-captioner that describes the views for navgpt; by default the words come
    from the object ids of the built-in houses."""
    image_size: int = 224
    """Height and width of a picture in pixels."""
    egocentric_views: int = 4
    """Number of views around the agent, from the heading of the agent clockwise."""
    history_pictures: int = 8
    """Largest number of pictures of earlier places; further places are described in words only."""
    known_map: bool = True
    """List the known places and their connections in words (plain)."""
    labels: Literal["letters", "numbers"] = "letters"
    """Labels of the options: A, B, ... or the action numbers of the environment."""
    option_order: Literal["environment", "clockwise"] = "environment"
    """Order of the candidates: that of the environment, or from behind the agent clockwise."""
    direction_words: Literal["degrees", "words"] = "degrees"
    """Directions as "40 degrees to the left", or as one word such as "left"."""
    picture_detail: Literal["low", "high", "auto"] | None = None
    """Picture detail in OpenAI's interface; not sent by default."""
    most_repeats: int = 3
    """Largest number of equal steps or turns in one decision of a continuous walk."""
    stop_after: int = 0
    """Number of decisions before stopping is an option (MapGPT: 3)."""

    def __post_init__(self) -> None:
        check_counts(self, ("image_size", "egocentric_views", "most_repeats"))
        check_counts(self, ("history_pictures", "stop_after"), least=0)
        if self.strategy == "navgpt" and self.pictures not in (None, "none"):
            raise UserError(
                f"--pictures {self.pictures}: navgpt describes views in words; leave the "
                "flag out, or choose another --strategy"
            )
        if self.captioner is not None and self.strategy != "navgpt":
            raise UserError(
                f"--captioner {self.captioner} has no effect with --strategy {self.strategy}; add "
                "--strategy navgpt, or leave it out"
            )
        if self.strategy == "mapgpt" and self.pictures not in (None, "candidates"):
            raise UserError(
                f"--pictures {self.pictures}: mapgpt shows a picture of each known place; "
                "leave the flag out, or choose another --strategy"
            )

    @property
    def picture_kind(self) -> PictureKind:
        """Pictures of a decision, with the default of the strategy."""
        return self.pictures or ("none" if self.strategy == "navgpt" else "candidates")

    def idle(self, environment: Environment) -> dict[str, str]:
        """Return the names of settings without effect in an environment, and why.

        They have none in the strategies of this package. A strategy of one's own may read them.
        """
        idle: dict[str, str] = {}
        if environment == "continuous":
            names = ("egocentric_views", "known_map", "option_order", "direction_words")
            idle = dict.fromkeys(names, "with --environment continuous")
        else:
            idle["most_repeats"] = "on graphs, only in continuous walks"
            if self.picture_kind == "egocentric":
                idle["history_pictures"] = "with --pictures egocentric, only with candidates"
            else:
                idle["egocentric_views"] = "without --pictures egocentric"
            if self.strategy == "mapgpt":
                idle["known_map"] = "with --strategy mapgpt, whose prompts always contain the map"
            elif self.strategy == "navgpt":
                idle["known_map"] = "with --strategy navgpt, whose prompts contain no map"
        if self.picture_kind == "none":
            reason = (
                f"with {'--strategy navgpt' if self.strategy == 'navgpt' else '--pictures none'}"
            )
            idle |= dict.fromkeys(("history_pictures", "picture_detail"), reason)
            if self.captioner is None:  # captions are those of pictures
                idle["image_size"] = reason
        return idle


@dataclass(frozen=True)
class ServerConfig:
    """Requests to a server with OpenAI's chat-completions interface."""

    api_key_file: Path | None = None
    """File with the API key; by default the environment variable OPENAI_API_KEY, if it is set."""
    request_timeout: float = 120.0
    """Timeout of a request in seconds."""
    max_retries: int = 5
    """Number of further attempts after a temporary error."""
    longest_wait: float = 120.0
    """Longest Retry-After, in seconds, that is waited for."""
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field that limits the answer; OpenAI's newer models require
    max_completion_tokens."""
    answer_format: AnswerFormat = "auto"
    """Constraint on the answer: a JSON schema, any JSON object, or none (text); auto tries them in
    this order until the server accepts one. Local models have schema, and by default none."""
    probe: bool = True
    """Check the server, the model's name and its picture input before the first request."""

    def __post_init__(self) -> None:
        check_counts(self, ("max_retries",), least=0)
        check_numbers(self, ("request_timeout", "longest_wait"))
        check_positive(self, ("request_timeout",))


@dataclass(frozen=True)
class SamplingConfig:
    """Sampling of the answers."""

    temperature: float | None = 0.0
    """Sampling temperature; None sends none, as reasoning models require."""
    sampling_seed: int | None = 0
    """Random seed that is sent to the model; None sends none."""
    max_answer_tokens: int = 512
    """Largest number of tokens of an answer."""

    def __post_init__(self) -> None:
        check_counts(self, ("max_answer_tokens",))
        check_numbers(self, [] if self.temperature is None else ["temperature"])


@dataclass(frozen=True)
class BudgetConfig:
    """Hard limits of what a run may send; cached answers cost nothing."""

    max_requests: int | None = None
    """Number of requests."""
    max_tokens_total: int | None = None
    """Number of tokens of prompts and answers."""
    max_cost: float | None = None
    """Cost in the currency of the prices; requires both."""
    price_in: float | None = None
    """Price of a million prompt tokens."""
    price_out: float | None = None
    """Price of a million answer tokens."""

    def __post_init__(self) -> None:
        check_counts(self, ("max_requests", "max_tokens_total"))
        prices = [name for name in ("max_cost", "price_in", "price_out") if getattr(self, name)]
        check_numbers(self, prices)
        if self.max_cost is not None and (self.price_in is None or self.price_out is None):
            raise UserError("--max-cost requires --price-in and --price-out")
        if (self.price_in is None) != (self.price_out is None):
            raise UserError("--price-in and --price-out belong together: give both, or neither")


@dataclass(frozen=True)
class EvaluateVlmConfig:
    """Model, episodes and outputs of an evaluation."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "url model local_model dataset split world data_dir environment episodes prompt.strategy "
        "prompt.pictures concurrency runs output budget.max_requests server.api_key_file "
        "dry_run".split()
    )

    url: str | None = None
    """Base address of a server with OpenAI's interface, such as http://localhost:8000/v1."""
    model: str | None = None
    """Name of the model on the server."""
    local_model: str | None = None
    """Model of transformers to run in this process: name or folder of a model for images and text
    or for text only, or a GGUF file."""
    dataset: str = "r2r"
    """Dataset of instructions."""
    split: str = "val_unseen"
    """Split to evaluate."""
    world: World = "houses"
    """Buildings, such as matterport."""
    data_dir: Path | None = None
    """Data folder of world matterport."""
    scan_dir: Path | None = None
    """Folder of Matterport3D scans with skyboxes; by default DATA_DIR/matterport/v1/scans."""
    environment: Environment = "graph"
    """Environment: decisions between viewpoints, or steps and turns in continuous space (R2R-CE,
    RxR-CE)."""
    answers: Answers = "motions"
    """Answers in continuous space: labelled steps and turns (motions), a pixel of a look-down
    picture, or up to eight waypoints (x, y, theta) around the robot."""
    follower: PointFollower = "geodesic"
    """How the agent walks to a pixel or to waypoints: by the shortest walk on the floor (geodesic),
    or by turns and steps straight ahead, up to a collision."""
    instruction_language: str | None = None
    """Language of the instructions; all by default."""
    episodes: int | None = 216
    """Number of episodes, balanced over buildings, path lengths and languages; None for all."""
    seed: int = 0
    """Random seed of the subset, of the random baseline and of --on-invalid random."""
    concurrency: int = 8
    """Number of requests at a time; batch size of a local model."""
    answer_retries: int = 1
    """Number of times the model is asked again after an invalid answer."""
    on_invalid: OnInvalid = "end"
    """Action after an invalid answer: end the episode where it stands, stay for a step, the first
    candidate, or a random option; all of them are counted."""
    max_episode_steps: int | None = None
    """Maximum number of decisions of an episode; the environment's default if not given."""
    runs: tuple[Path, ...] = ()
    """Runs of clipnav train-agent to compare with on the same episodes."""
    output: Path | None = None
    """Folder of the results; by default runs/vlm-MODEL-SPLIT, with environment, dataset and world
    before SPLIT where they are not the default ones."""
    cache: Path | None = None
    """Folder of cached answers; by default in the cache folder of clipnav."""
    submission: Path | None = None
    """File to write the trajectories to, in the format of the dataset's test server."""
    dry_run: bool = False
    """Write the prompts along the teacher's paths and estimate the requests; send nothing."""
    device: str = "cpu"
    """Device of a local model and of the runs: cpu, cuda, cuda:1, ..."""
    prompt: tyro.conf.OmitArgPrefixes[PromptConfig] = field(default_factory=PromptConfig)
    sampling: tyro.conf.OmitArgPrefixes[SamplingConfig] = field(default_factory=SamplingConfig)
    server: tyro.conf.OmitArgPrefixes[ServerConfig] = field(default_factory=ServerConfig)
    budget: tyro.conf.OmitArgPrefixes[BudgetConfig] = field(default_factory=BudgetConfig)

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)
        world_spec(self.world)
        check_counts(self, ("episodes", "concurrency", "max_episode_steps"))
        check_counts(self, ("seed", "answer_retries"), least=0)
        if (self.url is None) == (self.local_model is None):
            raise UserError("name either a server with --url and --model, or a --local-model")
        if (self.url is None) != (self.model is None):
            raise UserError("--url and --model belong together: name the model on the server")
        if self.local_model is not None and self.server.answer_format == "object":
            raise UserError("--answer-format object: a local model has schema or text; name one")
        if self.url is not None:
            if not self.url.startswith(("http://", "https://")):
                raise UserError(f"--url {self.url}: must start with http:// or https://")
            try:
                parts = urlsplit(self.url)
                _ = parts.port  # sockets would refuse it later, with errors that do not name it
            except ValueError as error:
                raise UserError(
                    f"--url {self.url}: not an address ({error}); correct it"
                ) from error
            if "@" in parts.netloc:
                # The address is part of the results.
                raise UserError("--url: must not contain a password; use --api-key-file")
        if self.environment == "continuous":
            self._check_continuous()
        self._check_unused_options()
        check_outputs(self, {"submission": SUBMISSIONS, "output": ()})

    def check_prompt(self) -> None:
        """Refuse settings of the prompt that have no effect in it.

        A strategy of one's own may read any setting, so that this is no check of the dataclass.

        Raises:
            NoEffectError: Names flag and reason.
        """
        idle = self.prompt.idle(self.environment)
        if self.answers == "waypoints":
            idle["most_repeats"] = "with --answers waypoints, whose only option is to stop"
        if self.local_model is not None:
            idle["picture_detail"] = "with --local-model, only with servers"
        check_unused_options(self.prompt, idle)

    def _check_unused_options(self) -> None:
        """Refuse settings without effect beside the model, the world and the runs."""
        prompt, idle = self.prompt, dict[str, str]()
        if is_built_in(self.world):
            idle["scan_dir"] = f"with --world {self.world}"
        elif prompt.picture_kind == "none" and prompt.captioner is None:
            idle["scan_dir"] = "without pictures"
        if self.local_model is None and not self.runs and prompt.captioner is None:
            idle["device"] = "without --local-model, --runs and --captioner"
        if self.environment == "graph":
            idle["answers"] = "on graphs, only with --environment continuous"
        if self.answers == "motions":
            idle["follower"] = "with --answers motions, which are steps and turns"
        check_unused_options(self, idle)
        if self.local_model is not None:
            names = [item.name for item in fields(ServerConfig) if item.name != "answer_format"]
            check_unused_options(
                self.server, dict.fromkeys(names, "with --local-model, only with servers")
            )
            if not self.sampling.temperature:
                reason = "with --local-model and --temperature 0, which draws nothing"
                check_unused_options(self.sampling, {"sampling_seed": reason})

    def _check_continuous(self) -> None:
        continuous_version(self.dataset)
        if self.prompt.strategy != "plain" or self.prompt.pictures not in (None, "none"):
            raise UserError(
                "--environment continuous: there are no candidates and no map; leave --strategy "
                "and --pictures out, or use --pictures none"
            )
        if self.answers == "pixel" and self.prompt.pictures == "none":
            raise UserError("--answers pixel requires pictures; remove --pictures none")
        in_space = self.answers != "motions" and self.local_model is not None
        if in_space and self.server.answer_format == "schema":
            raise UserError(
                f"--answers {self.answers}: --answer-format schema of a local model chooses among "
                "labels only; remove it"
            )
        if self.runs:
            raise UserError("--environment continuous: --runs are agents on graphs; leave them out")

    @property
    def model_name(self) -> str:
        """Name of the model in tables; that of a baseline is marked."""
        if self.answers != "motions":
            return f"{self._short_name} ({self.answers}, {self.follower} follower)"
        is_taken = self._short_name in (*BASELINES, "expert")
        return f"{self._short_name} (model)" if is_taken else self._short_name

    @property
    def _short_name(self) -> str:
        name = self.model or str(self.local_model)
        return name.rstrip("/").rpartition("/")[2].removesuffix(".gguf")

    @property
    def run_name(self) -> str:
        """Name of the default folder of the results."""
        name = "".join(c if c.isalnum() or c in "-._" else "-" for c in self._short_name)
        task = (
            (self.environment, "graph"),
            (self.answers, "motions"),
            (self.follower, "geodesic"),
            (self.dataset, "r2r"),
            (self.world, "houses"),
        )
        parts = [value for value, default in task if value != default]
        return "-".join(["vlm", name, *parts, self.split])
