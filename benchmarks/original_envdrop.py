"""Runs the user's own clone of R2R-EnvDrop (`--original DIR`), for the benchmarks of followers.

Nothing of that code is part of clipnav. It runs as it is, on the CPU, with clipnav's replacement
for its simulator, with the weights, vocabulary and features of the runs that it is compared with,
and with every viewpoint's candidates in its buffer: it finds the candidates of a viewpoint at the
first visit, which a training of 80,000 iterations pays once and a short race in every step. What
torch 2 and a machine without a GPU require is patched: `cuda` returns the tensor itself, `cpu` a
copy as from a GPU, `byte` a bool mask.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.envdrop.speaker import Speaker
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.envs import mattersim
from clipnav.envs.episodes import Episode
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_VIEWS

_MODULES = ("param", "utils", "model", "env", "agent", "speaker")
_SPEAKER_DROPOUT = 0.6


class EnvDrop:
    """A follower and its environment, from the original files.

    Args:
        folder: Clone of https://github.com/airsplay/R2R-EnvDrop.
        env: Environment of the training split of R2R, with features.
        workplace: New folder, which becomes the working folder of the process.
    """

    def __init__(self, folder: Path, run: TrainConfig, env: VlnVectorEnv, workplace: Path) -> None:
        sources = folder.resolve() / "r2r_src"
        if not (sources / "agent.py").exists():
            raise UserError(
                f"--original {folder}: there is no r2r_src/agent.py; pass a clone of "
                "https://github.com/airsplay/R2R-EnvDrop"
            )
        if run.data_dir is None:
            raise UserError("--original needs R2R and its graphs; pass --data-dir")
        data = run.data_dir.resolve()
        workplace.mkdir(exist_ok=True)
        (workplace / "tasks/R2R").mkdir(parents=True)
        (workplace / "tasks/R2R/data").symlink_to(data / "r2r")
        (workplace / "connectivity").symlink_to(data / "matterport" / "connectivity")
        (workplace / "snap").mkdir()
        os.chdir(workplace)
        mattersim.install("0.1")
        flags = (
            f"--angleFeatSize {env.angle_feature_size} --batchSize {run.batch_size} --subout max "
            f"--mlWeight {run.imitation_weight} --maxAction {run.max_episode_steps} --optim rms"
        )
        with mock.patch.object(sys, "argv", ["train.py", *flags.split()]), _quiet():
            with mock.patch.object(sys, "path", [str(sources), *sys.path]):
                self._modules = {name: importlib.import_module(name) for name in _MODULES}
        self.args = self._modules["param"].args
        self.args.views = NUM_VIEWS
        store, self._batch = env.feature_store, run.batch_size
        assert store is not None
        self._features = {
            key: views.astype(np.float32)
            for key, views in zip(store.keys, store.views, strict=True)
        }
        self._buffer: dict[str, Any] = {}
        with self.running():
            words = list(env.tokenizer.words[:-1])
            length = run.max_instruction_length
            self.tokenizer = self._modules["utils"].Tokenizer(words, length)
            self.train = self.environment("train")
            self.agent = self._modules["agent"].Seq2SeqAgent(
                self.train, "", self.tokenizer, run.max_episode_steps
            )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run parts of the original code: on the CPU, and without what it prints."""
        copied = Tensor.cpu
        with (
            mock.patch.object(Tensor, "cuda", lambda tensor: tensor),
            mock.patch.object(nn.Module, "cuda", lambda module: module),
            mock.patch.object(Tensor, "cpu", lambda tensor: copied(tensor).clone()),
            mock.patch.object(Tensor, "byte", Tensor.bool),
            mock.patch.object(nn.utils, "clip_grad_norm", nn.utils.clip_grad_norm_),
            _quiet(),
        ):
            yield

    def resize(self, size: int) -> None:
        """Change the number of agents of the training environment, and of those made later."""
        self._batch = self.train.batch_size = size
        with self.running():
            self.train.env = type(self.train.env)(self._features, size)

    def environment(self, split: str) -> Any:
        """Return the environment of a split, or of a file of paths, with a full buffer."""
        with self.running():
            env = self._modules["env"].R2RBatch(
                self._features, self._batch, splits=[split], tokenizer=self.tokenizer
            )
            env.buffered_state_dict = self._buffer
            for scan, graph in env.graphs.items():
                for viewpoint in graph:
                    env.make_candidate(self._features[f"{scan}_{viewpoint}"], scan, viewpoint, 0)
        return env

    @torch.no_grad()
    def load_follower(self, follower: Follower, critic: Critic | None) -> None:
        """Copy the weights of a follower and its critic."""
        encoder, decoder = self.agent.encoder, self.agent.decoder
        ours: Any = follower.encoder
        encoder.embedding.load_state_dict(ours.embedding.state_dict())
        _copy_lstm(encoder.lstm, ours.read)
        encoder.encoder2decoder.load_state_dict(ours.initial.state_dict())
        part = follower.decoder
        decoder.embedding[0].load_state_dict(part.action.state_dict())
        gates, inputs = part.cell.gates, decoder.lstm.input_size
        decoder.lstm.weight_ih.copy_(gates.weight[:, :inputs])
        decoder.lstm.weight_hh.copy_(gates.weight[:, inputs:])
        decoder.lstm.bias_ih.copy_(gates.bias)
        decoder.lstm.bias_hh.zero_()
        decoder.feat_att_layer.linear_in.load_state_dict(part.views.query.state_dict())
        _copy_attention(decoder.attention_layer, part.words)
        decoder.candidate_att_layer.linear_in.load_state_dict(part.candidates.query.state_dict())
        if critic is not None:
            self.agent.critic.state2value[0].load_state_dict(critic.first.state_dict())
            self.agent.critic.state2value[3].load_state_dict(critic.last.state_dict())

    def iterate(self) -> None:
        """Update the follower by imitation and reinforcement."""
        with self.running():
            self.agent.env = self.train
            self.agent.train(1, feedback="sample")

    def paths(self, env: Any) -> dict[str, tuple[str, ...]]:
        """Evaluate the follower; return the viewpoints of its greedy walks by instr_id."""
        with self.running():
            self.agent.env = env
            self.agent.test(feedback="argmax")
        walks = {}
        for result in self.agent.get_results():
            places = [pose[0] for pose in result["trajectory"]]
            turned = zip(places, [None, *places], strict=False)
            walks[result["instr_id"]] = tuple(place for place, last in turned if place != last)
        return walks

    def speaker(self, speaker: Speaker) -> Any:
        """Return an original speaker with the weights of a speaker."""
        self.args.dropout, self.args.optimizer = _SPEAKER_DROPOUT, torch.optim.Adam
        with self.running(), torch.no_grad():
            original = self._modules["speaker"].Speaker(self.train, self.agent, self.tokenizer)
            _copy_lstm(original.encoder.lstm, speaker.encoder.moves)
            _copy_lstm(original.encoder.post_lstm, speaker.encoder.sights)
            _copy_attention(original.encoder.attention_layer, speaker.encoder.views)
            _copy_attention(original.decoder.attention_layer, speaker.decoder.path)
            for theirs, ours in (
                (original.decoder.embedding, speaker.decoder.embedding),
                (original.decoder.lstm, speaker.decoder.read),
                (original.decoder.projection, speaker.decoder.word),
            ):
                theirs.load_state_dict(ours.state_dict())
        return original

    def train_speaker(self, speaker: Any) -> None:
        """Update an original speaker."""
        with self.running():
            speaker.env = self.train
            speaker.train(1)

    def translate_back(self, sampled: Any, speaker: Any, longest: int) -> None:
        """Update the follower by human instructions, and by sampled paths that a speaker describes.

        Args:
            longest: Tokens of a generated instruction, the start included.
        """
        args, agent = self.args, self.agent
        args.maxDecode = longest - 1
        with self.running():
            agent.zero_grad()
            for env, weight, describes in ((self.train, 0.2, None), (sampled, 0.6, speaker)):
                agent.env, args.ml_weight = env, weight
                agent.accumulate_gradient("sample", speaker=describes)
            agent.optim_step()


class Teacher:
    """Agents of an original environment that follow the teacher, episode after episode."""

    def __init__(self, original: EnvDrop, count: int) -> None:
        self._original, self._agent, self._env = original, original.agent, original.train
        original.resize(count)
        with original.running():
            self._seen = np.array(self._env.reset())
        self._next = count

    def step(self) -> None:
        """Move all agents, read the observations as arrays, and start the episodes that are due."""
        env, agent = self._env, self._agent
        with self._original.running():
            ended = np.zeros(len(self._seen), bool)
            actions = agent._teacher_action(self._seen, ended).numpy()
            stops = np.array([len(place["candidate"]) for place in self._seen])
            agent.make_equiv_action(np.where(actions == stops, -1, actions), self._seen)
            for row in np.flatnonzero(actions == stops):
                self._next = (self._next + 1) % len(env.data)
                env.batch[row] = item = env.data[self._next]
                env.env.sims[row].newEpisode(item["scan"], item["path"][0], item["heading"], 0)
            self._seen = np.array(env._get_obs())
            agent.get_input_feat(self._seen)


def write_paths(episodes: Sequence[Episode], word: str, path: Path) -> str:
    """Write episodes as a file of EnvDrop's paths, each with a known word as instruction."""
    items = [
        {
            "scan": episode.scan,
            "path_id": episode.path_id,
            "path": list(episode.path),
            "heading": episode.heading,
            "instructions": [word],
        }
        for episode in episodes
    ]
    path.write_text(json.dumps(items), "utf-8")
    return str(path)


def _copy_attention(theirs: Any, ours: Any) -> None:
    theirs.linear_in.load_state_dict(ours.attention.query.state_dict())
    theirs.linear_out.load_state_dict(ours.mix.state_dict())


def _copy_lstm(theirs: nn.LSTM, ours: BidirectionalLSTM) -> None:
    """Copy weights; the biases of an LSTM are weights of the last input of ours."""
    directions: list[tuple[str, Any]] = [("", ours.forwards), ("_reverse", ours.backwards)]
    for suffix, direction in directions:
        inputs = direction.weight_ih_l0
        getattr(theirs, f"weight_ih_l0{suffix}").copy_(inputs[:, :-1])
        getattr(theirs, f"bias_ih_l0{suffix}").copy_(inputs[:, -1])
        getattr(theirs, f"bias_hh_l0{suffix}").zero_()
        getattr(theirs, f"weight_hh_l0{suffix}").copy_(direction.weight_hh_l0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what is printed."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield
