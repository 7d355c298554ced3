"""Tiny models with random weights, saved as folders: for images and text, and for text only."""

from collections.abc import Callable
from pathlib import Path

# The names of Qwen's tokens, which its processors expect.
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
START, END = "<|vision_start|>", "<|vision_end|>"
SPECIAL = ["<pad>", "<s>", "</s>", "<image>", IMAGE, VIDEO, START, END]
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}IMAGE{% else %}{{ p['text'] }}{% endif %}{% endfor %}"
    "</s>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
WORDS_TEMPLATE = (  # the content of a message is a string
    "{% for m in messages %}{{ '<s>' + m['role'] + ': ' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16384,
}


def tokenizer(size=264):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(["go to the red door"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=SPECIAL[3:],
    )


def write_llava(folder: Path) -> None:
    import torch
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    words = tokenizer()
    vision = {**TEXT, "image_size": 56, "patch_size": 14}
    del vision["num_key_value_heads"], vision["max_position_embeddings"]
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=LlamaConfig(vocab_size=len(words), **TEXT),
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    ).save_pretrained(folder)


def write_qwen(folder: Path) -> None:
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(token) for name, token in QWEN_TOKENS.items()}
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        text_config={
            **TEXT,
            "vocab_size": len(words),
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        **ids,
    )
    torch.manual_seed(0)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    _qwen_processor(
        Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor, words, 14
    ).save_pretrained(folder)


def write_qwen3(folder: Path) -> None:
    import torch
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(token) for name, token in QWEN_TOKENS.items()}
    config = Qwen3VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        text_config={
            **TEXT,
            "head_dim": 16,
            "vocab_size": len(words),
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        **ids,
    )
    torch.manual_seed(0)
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    _qwen_processor(
        Qwen3VLProcessor, Qwen2VLImageProcessor, Qwen3VLVideoProcessor, words, 16
    ).save_pretrained(folder)


QWEN_TOKENS = {
    "image_token_id": IMAGE,
    "video_token_id": VIDEO,
    "vision_start_token_id": START,
    "vision_end_token_id": END,
}


def _qwen_processor(kind, image_kind, video_kind, words, patch):
    side = 2 * patch
    sizes = {"shortest_edge": side * side, "longest_edge": 4 * side * side}
    return kind(
        image_kind(patch_size=patch, merge_size=2, size=sizes),
        words,
        video_kind(patch_size=patch, merge_size=2, size=sizes),
        chat_template=TEMPLATE.replace("IMAGE", START + IMAGE + END),
    )


def write_llama(folder: Path, vocabulary: int = 264, **changes) -> None:
    """Write a model for text only."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(vocabulary)
    words.chat_template = WORDS_TEMPLATE
    settings = {**TEXT, "vocab_size": len(words), "eos_token_id": words.eos_token_id, **changes}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**settings)).save_pretrained(folder)
    words.save_pretrained(folder)


TINY_MODELS: dict[str, Callable[[Path], None]] = {
    "llava": write_llava,
    "qwen2.5-vl": write_qwen,
    "qwen3-vl": write_qwen3,
}
