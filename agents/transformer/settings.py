"""Settings that map agents and HAMT share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.agents.settings.networks import ReinforcementConfig
from clipnav.agents.settings.runs import AgentConfig
from clipnav.envs.navigation.rewards import Reward
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_dropout, check_numbers

_PART = "network."  # prefix of the flags


@dataclass(frozen=True)
class TransformerConfig:
    """Layer sizes and dropout of a transformer; the default values are DUET's and HAMT's."""

    hidden_size: int = 768
    """Width of all tokens."""
    heads: int = 12
    """Number of attention heads."""
    feed_forward_size: int = 3072
    """Width of the hidden layer of the feed-forward networks."""
    text_encoder: Literal["transformer", "lstm"] = "transformer"
    """Text encoder without --network.text-model: a BERT, or the follower's bidirectional LSTM of
    twice the width of the tokens, which learns from fewer updates and whose weights
    --start-from takes from a follower's run."""
    text_layers: int = 9
    """Number of layers of the text encoder, without --network.text-model."""
    panorama_layers: int = 2
    """Number of layers of the panorama encoder."""
    cross_layers: int = 4
    """Number of cross-modal layers (of each branch)."""
    max_text_length: int = 512
    """Largest number of text tokens, without --network.text-model."""
    max_steps: int = 100
    """Size of the table of step embeddings, which bounds the number of decisions."""
    text_model: str | None = None
    """Name or local folder of a Hugging Face model that replaces the text encoder."""
    text_model_layers: int | None = None
    """Number of first layers of the text model to keep; None for all of them (HAMT, BEVBert: 9)."""
    dropout: float = 0.1
    """Dropout rate of embeddings, attention weights and layer outputs."""
    feature_dropout: float = 0.4
    """Dropout rate of visual features."""
    feature_dropout_kind: Literal["element", "episode"] = "element"
    """Scope of a feature dropout mask: a single number (DUET, HAMT), or all views of an episode."""
    standardise: bool = False
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans
    (DUET, HAMT: no)."""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "heads", "feed_forward_size", "text_layers", "panorama_layers")
        check_counts(self, (*sizes, "cross_layers", "max_text_length", "max_steps"), _PART)
        if self.hidden_size % self.heads:
            raise UserError(
                f"--network.hidden-size {self.hidden_size}: must be divisible by --network.heads "
                f"{self.heads}"
            )
        if self.text_model_layers is not None:
            check_counts(self, ("text_model_layers",), _PART)
        check_dropout(self, ("dropout", "feature_dropout"), _PART)


@dataclass(frozen=True)
class TransformerAgentConfig(AgentConfig):
    """Settings of every training of an agent whose network is a transformer."""

    COMMON: ClassVar = (*AgentConfig.COMMON, "start_from")

    network: TransformerConfig = field(default_factory=TransformerConfig)
    drawn_paths: Literal["none", "ends", "ends-and-players"] = "none"
    """Reference paths that are drawn anew in every iteration: none; the shortest path to one
    viewpoint of the goal (DUET for REVERIE and SOON: --multi_endpoints); or that and, in half of
    the cases, the path of the person who looked for it (HAMT for CVDN: --use_player_path)."""
    start_from: Path | None = None
    """Run whose network provides the initial weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text.model != self.network.text_model:
            raise UserError(
                f"--text.model {self.text.model} and --network.text-model "
                f"{self.network.text_model}: the tokenizer and the text encoder require the same "
                "model; give it to both, or None"
            )
        longest = self.network.max_text_length
        own_text = self.text.model is None and self.language_representation is None
        has_table = own_text and self.network.text_encoder == "transformer"
        if has_table and self.max_instruction_length > longest:
            raise UserError(
                f"--max-instruction-length {self.max_instruction_length}: at most "
                f"--network.max-text-length, {longest}"
            )

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused, network = super().unused_options(), self.network
        if network.text_model is None:
            unused["network.text_model_layers"] = "without --network.text-model"
        sizes = ["network.text_layers", "network.max_text_length"]
        if self.language_representation is not None:
            names = ["network.text_model", "network.text_model_layers", "network.text_encoder"]
            unused |= dict.fromkeys([*names, *sizes], "with --language-representation")
        elif network.text_model is not None:
            names = [*sizes, "network.text_encoder"]
            unused |= dict.fromkeys(names, "with --network.text-model, which has its own")
        elif network.text_encoder == "lstm":
            unused |= dict.fromkeys(sizes, "with --network.text-encoder lstm")
        if not self.vision:
            names = ("standardise", "feature_dropout", "feature_dropout_kind")
            unused |= {f"network.{name}": "with --no-vision" for name in names}
        elif not network.feature_dropout:
            unused["network.feature_dropout_kind"] = "with --network.feature-dropout 0"
        if self.visual_representation is not None and self.vision:
            unused["network.standardise"] = "with --visual-representation, which has its own"
        return unused


@dataclass(frozen=True)
class MinibatchesConfig(TransformerAgentConfig):
    """Settings of a training whose iterations have two minibatches.

    One is for teacher forcing on reference paths; in the other, the agent samples its decisions.
    """

    COMMON: ClassVar = (*TransformerAgentConfig.COMMON, "reinforcement.weight")

    batch_size: int = 64
    """Number of episodes in a minibatch; teacher forcing and sampled walks have one minibatch
    each. Each process of torchrun has its own minibatches."""
    instructions_per_path: int = 1
    """Number of instructions of the same path that a minibatch contains together; they share the
    encoded panoramas of the path and its feature dropout."""
    teacher_weight: float = 0.2
    """Weight of the loss of teacher forcing."""
    sampled_weight: float = 1.0
    """Weight of the imitation loss of sampled walks (DAgger)."""
    sampled_steps: float = 1.0
    """Probability that a decision of a sampled walk is the agent's; otherwise it is that of the
    expert or teacher (DUET: 1)."""
    cloning_iterations: int = 0
    """Number of iterations at the start that only clone, with both minibatches."""
    reward: Reward = "distance"
    """Reward of reinforcement: reduction of the distance to the goal, or also the gain in nDTW with
    the reference path."""
    reinforcement: ReinforcementConfig = field(default_factory=ReinforcementConfig)
    critic_dropout: float | None = None
    """Dropout rate of the critic of reinforcement (HAMT: 0.5); None for --network.dropout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("teacher_weight", "sampled_weight"))
        check_numbers(self, ("sampled_steps",), most=1)
        check_counts(self, ("cloning_iterations",), least=0)
        check_counts(self, ("instructions_per_path",))
        if self.critic_dropout is not None:
            check_dropout(self, ("critic_dropout",))
        if self.instructions_per_path > self.batch_size:
            raise UserError(
                f"--instructions-per-path {self.instructions_per_path}: at most --batch-size "
                f"{self.batch_size}"
            )
        if self.sampled_steps < 1 and self.reinforcement.weight:
            raise UserError(
                f"--sampled-steps {self.sampled_steps:g}: reinforcement requires walks of the "
                "agent alone; set it to 1, or --reinforcement.weight to 0"
            )
        if not self.teacher_weight and not self.walks:
            raise UserError(
                "--teacher-weight 0, --sampled-weight 0 and --reinforcement.weight 0: the run has "
                "no loss; set one of them above 0"
            )

    @property
    def walks(self) -> bool:
        """Whether training also samples actions (A2C or DAgger)."""
        return bool(self.sampled_weight or self.reinforcement.weight)

    @property
    def run_name(self) -> str:
        """Name of the run's default folder."""
        return super().run_name + ("" if self.start_from is None else "-continued")

    @property
    def only_clones(self) -> bool:
        """Whether both minibatches of all iterations only clone."""
        return self.walks and self.cloning_iterations >= self.iterations

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if not self.walks:
            unused["cloning_iterations"] = "with --sampled-weight 0, which only clones anyway"
        if not self.sampled_weight:
            unused["sampled_steps"] = "with --sampled-weight 0"
        if not self.reinforcement.weight:
            names = ("reward", "critic_dropout")
            unused |= dict.fromkeys(names, "with --reinforcement.weight 0")
        return unused
