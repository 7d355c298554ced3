"""Names of the weights in the authors' checkpoints (LXMERT's names) and here."""

import re
from collections.abc import Mapping

from torch import Tensor

from clipnav.storage.errors import UserError

_RENAMED = (
    (r"^bert\.encoder\.layer\.", "stream.bert.encoder.layer."),
    (r"^bert\.embeddings\.", "stream.bert.embeddings."),
    (r"^bert\.pooler\.dense\.", "stream.pooler."),
    (r"^bert\.encoder\.visn_fc\.visn_fc\.", "stream.visual.project."),
    (r"^bert\.encoder\.visn_fc\.visn_layer_norm\.", "stream.visual.norm."),
    (r"^bert\.encoder\.visual_pos\.x_position_embedding\.", "stream.visual.rows."),
    (r"^bert\.encoder\.visual_pos\.y_position_embedding\.", "stream.visual.columns."),
    (r"^bert\.encoder\.visual_model\.visual\.", "trunk.visual."),
    (r"^cls\.predictions\.transform\.dense\.", "words.transform."),
    (r"^cls\.predictions\.transform\.LayerNorm\.", "words.norm."),
    (r"^cls\.predictions\.bias$", "words.bias"),
    (r"^cls\.seq_relationship\.", "matching."),
    (r"^answer_head\.logit_fc\.", "answers."),
)
# Weights that the model does not use: embedding of boxes; decoder tied to the word embeddings;
# attention pooling, text tower and temperature of CLIP; heads of visual objectives.
_UNUSED = re.compile(
    r"bert\.encoder\.visn_fc\.box_|cls\.predictions\.decoder\.weight$"
    r"|bert\.encoder\.visual_model\.(?!visual\.)|bert\.encoder\.visual_model\.visual\.attnpool\."
    r"|obj_predict_head\.|.*\.position_ids$|.*\.num_batches_tracked$"
)


def our_names(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Rename the weights of a checkpoint, without those that the model does not use."""
    renamed = {}
    for name, tensor in weights.items():
        if _UNUSED.match(name):
            continue
        ours = next((re.sub(old, new, name) for old, new in _RENAMED if re.match(old, name)), None)
        if ours is None:
            raise UserError(
                f"{source}: {name!r} is not a weight of CLIP-ViL_p; give a checkpoint of the "
                "pre-training in CLIP-ViL-Pretrain"
            )
        renamed[ours] = tensor
    return renamed
