"""The BERT of the single stream: from a name, a folder, or a configuration.

transformers is imported when a BERT is built, because models without one import this module, too,
and transformers takes as long to import as all the rest.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.hugging_face import load_text_model
from clipnav.storage.json_files import read_json_object
from clipnav.vl_tasks.clip_vil_p.networks.heads import deviation
from clipnav.vl_tasks.settings.networks import TextConfig

if TYPE_CHECKING:
    from transformers import BertConfig, BertModel

BERT = "bert.json"  # within the folder of a run
_POSITIONS = 512
_REMEDY = "train the run again"


def make_bert(config: TextConfig, pieces: int) -> "BertModel":
    """Build a BERT without pooler."""
    from transformers import BertConfig, BertModel

    if config.bert is None:
        sizes = BertConfig(
            vocab_size=pieces,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feed_forward_size,
            max_position_embeddings=_POSITIONS,
            initializer_range=deviation(config.hidden_size),
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
        )
        return build_bert(sizes)
    loaded = load_text_model(config.bert)
    if not isinstance(loaded, BertModel):
        raise UserError(
            f"{config.bert}: a {type(loaded).__name__}, not a BERT; give the folder or name of one"
        )
    if loaded.config.vocab_size < pieces:
        raise UserError(
            f"{config.bert}: its tokenizer has {pieces} word pieces, but the model only "
            f"{loaded.config.vocab_size}; download the folder again"
        )
    loaded.config.hidden_dropout_prob = config.dropout
    loaded.config.attention_probs_dropout_prob = config.dropout
    bert = build_bert(loaded.config)
    weights = {k: v for k, v in loaded.state_dict().items() if not k.startswith("pooler.")}
    bert.load_state_dict(weights)
    return bert


def save_bert_config(run: Path, bert: "BertModel") -> None:
    """Write the configuration of a BERT into the folder of a run."""
    write_text(run / BERT, bert.config.to_json_string())


def bert_of_run(run: Path) -> "BertModel":
    """Build the BERT of a run with random weights."""
    from transformers import BertConfig

    path = run / BERT
    content: Any = read_json_object(path, _REMEDY)
    try:
        return build_bert(BertConfig.from_dict(content))
    except Exception as error:  # transformers raises many types for invalid values
        raise UserError(f"{path}: damaged ({in_one_line(error)}); {_REMEDY}") from error


def build_bert(config: "BertConfig") -> "BertModel":
    """Build a BERT without pooler and with random weights."""
    from transformers import BertModel

    return BertModel(config, add_pooling_layer=False)
