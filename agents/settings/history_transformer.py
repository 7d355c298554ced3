"""Settings of the network of HAMT, with the published sizes as presets."""

from dataclasses import dataclass
from typing import Literal

from agents.settings.transformer import TransformerConfig

HistoryRecipe = Literal["hamt-r2r", "hamt-rxr", "hamt-houses"]


@dataclass(frozen=True)
class HistoryTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of HAMT; the default values are those for R2R."""

    language_attention: bool = True
    """Let the words attend to history and views in every cross-modal layer (HAMT for R2R); without
    it, the text of an episode is encoded once for all its steps (HAMT for RxR: --no_lang_ca)."""


_BERT, _XLM_R = "bert-base-uncased", "xlm-roberta-base"

PRESETS: dict[HistoryRecipe, HistoryTransformerConfig] = {
    # HAMT `finetune_src/scripts/run_r2r.sh`: the first layers of BERT.
    "hamt-r2r": HistoryTransformerConfig(text_model=_BERT, text_model_layers=9),
    # `run_rxr.sh`: its --featdropout is unknown to the parser, so that the default of 0.3 is used.
    "hamt-rxr": HistoryTransformerConfig(
        text_model=_XLM_R, text_model_layers=9, feature_dropout=0.3, language_attention=False
    ),
    # Sizes that a CPU trains.
    "hamt-houses": HistoryTransformerConfig(
        hidden_size=128,
        heads=4,
        feed_forward_size=512,
        text_layers=2,
        panorama_layers=1,
        cross_layers=2,
        feature_dropout=0.3,
        feature_dropout_kind="episode",
        standardise=True,
    ),
}
"""Settings by name."""
