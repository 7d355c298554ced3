from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.loading import load_model


@pytest.fixture(scope="session")
def encoder(tiny_clip: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_clip), precision="fp32", device="cpu")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)


def reference(folder: Path, images: list[Image.Image]) -> np.ndarray:
    """Compute features with open_clip's own documented calls."""
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    with torch.no_grad():
        batch = torch.stack([transform(image) for image in images])
        return model.eval().encode_image(batch).numpy()


def test_pooled_features_are_open_clips(encoder: ClipEncoder, tiny_clip: Path, images: np.ndarray):
    expected = reference(tiny_clip, [Image.fromarray(image) for image in images])
    pooled = encoder.pooled(images)
    assert pooled.dtype == np.float32
    assert pooled.shape == (3, encoder.embed_dim) == (3, 32)
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-5)


def test_images_of_other_sizes_are_preprocessed_as_in_open_clip(
    encoder: ClipEncoder, tiny_clip: Path
):
    rng = np.random.default_rng(1)
    arrays = [rng.integers(0, 256, size).astype(np.uint8) for size in [(90, 70, 3), (64, 128, 3)]]
    images = [Image.fromarray(array) for array in arrays]
    expected = reference(tiny_clip, images)
    np.testing.assert_allclose(encoder.pooled(images), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.pooled(arrays), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.pooled(arrays[0][None]), expected[:1], rtol=1e-4, atol=1e-5)


def test_text_features_are_unit_vectors_of_open_clip(encoder: ClipEncoder, tiny_clip: Path):
    sentences = ["a red sofa", "the kitchen", "a red sofa"]
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{tiny_clip}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tiny_clip}")(sentences)
    with torch.no_grad():
        expected = model.eval().encode_text(tokens, normalize=True).numpy()
    features = encoder.text(sentences)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-3


def test_attributes_and_digest_of_an_encoder(encoder: ClipEncoder, tiny_clip: Path):
    assert encoder.name == tiny_clip.name
    assert encoder.image_size == (64, 64)
    assert encoder.precision == "fp32"
    assert tuple(encoder.preprocessing["mean"]) == (0.5, 0.4, 0.3)
    again = ClipEncoder.load(f"local-dir:{tiny_clip}", precision="bf16", device="cpu")
    assert again.weights_sha256 == encoder.weights_sha256
    model, tokenizer, name = load_model(str(tiny_clip), None)
    with torch.no_grad():
        next(iter(model.parameters())).add_(1)
    assert ClipEncoder(model, tokenizer, name, "fp32").weights_sha256 != encoder.weights_sha256


def test_bf16_agrees_with_fp32(encoder: ClipEncoder, tiny_clip: Path, images: np.ndarray):
    full = encoder.pooled(images)
    half = ClipEncoder.load(str(tiny_clip), precision="bf16", device="cpu").pooled(images)
    cosine = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.99


def test_a_folder_without_weights_names_the_file(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"open_clip_config\.json is missing.*pretrain"):
        ClipEncoder.load(str(tmp_path))


def test_unknown_models_and_weights_are_refused():
    with pytest.raises(ValueError, match="RN51"):
        ClipEncoder.load("RN51")
    with pytest.raises(ValueError, match=r"RN50 has no weights 'openia'.*'openai'"):
        ClipEncoder.load("RN50", pretrained="openia")


def test_invalid_images_are_refused(encoder: ClipEncoder, images: np.ndarray):
    with pytest.raises(ValueError, match="add a leading axis"):
        encoder.pooled(images[0])
    with pytest.raises(ValueError, match="float32"):
        encoder.pooled(images.astype(np.float32))
    with pytest.raises(ValueError, match="no images"):
        encoder.pooled([])
    with pytest.raises(ValueError, match="list of sentences"):
        encoder.text("a red sofa")


def test_cells_of_padding_are_masked_and_zero(encoder: ClipEncoder):
    rng = np.random.default_rng(3)
    shapes = [(128, 64, 3), (64, 128, 3)]
    images = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    stride = encoder.tower.stride[0]
    side = 128 // stride
    for grid in (
        encoder.masked_grid(images, (128, 128), "pad"),
        encoder.masked_grid(images, fit="native"),
        encoder.masked_dense(images, (128, 128), "native"),
    ):
        assert grid.features.shape[:3] == grid.mask.shape == (2, side, side)
        assert grid.mask[0, :, : side // 2].all()
        assert grid.mask.sum() == side * side
        assert not grid.features[~grid.mask].any()
        assert np.abs(grid.features[grid.mask]).max(axis=1).min() > 0
    alone = encoder.grid(images[:1], fit="native")
    both = encoder.grid(images, fit="native")
    np.testing.assert_allclose(both[:1, :, : side // 2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(159, 160), (127, 95), (158, 191)])
def test_images_of_odd_sides_have_a_full_mask(tiny_resnet: Path, size):
    """The first halving of a ResNet's input size rounds up."""
    encoder = ClipEncoder.load(str(tiny_resnet), precision="fp32", device="cpu")
    image = np.random.default_rng(5).integers(0, 256, (*size, 3)).astype(np.uint8)
    shape = tuple((side + 1) // 32 for side in size)
    for grid in (
        encoder.masked_dense([image], fit="native"),
        encoder.masked_grid([image], size, "pad"),
    ):
        assert grid.features.shape[1:3] == grid.mask.shape[1:] == shape
        assert grid.mask.all()


def test_an_image_size_that_is_no_multiple_of_the_patches(uneven_transformer: Path):
    encoder = ClipEncoder.load(str(uneven_transformer), precision="fp32", device="cpu")
    rng = np.random.default_rng(6)
    arrays = [rng.integers(0, 256, size).astype(np.uint8) for size in [(70, 70, 3), (140, 70, 3)]]
    expected = reference(uneven_transformer, [Image.fromarray(array) for array in arrays])
    np.testing.assert_allclose(encoder.pooled(arrays), expected, rtol=1e-4, atol=1e-5)
    for fit in ("center_crop", "stretch"):
        assert encoder.masked_grid(arrays, fit=fit).mask.shape == (2, 4, 4)
        assert encoder.masked_grid(arrays, fit=fit).mask.all()
    padded = encoder.masked_dense(arrays, fit="pad")
    # The second image covers 35 of 70 columns of pixels, which are three cells.
    assert padded.mask.sum((1, 2)).tolist() == [16, 12]
    assert not padded.features[~padded.mask].any()
    assert encoder.masked_grid(arrays, fit="native").mask.sum((1, 2)).tolist() == [16, 36]


def test_padding_does_not_change_features(encoder: ClipEncoder):
    """In one batch, the other image has content where the first has padding."""
    rng = np.random.default_rng(4)
    tall, square = (rng.integers(0, 256, s).astype(np.uint8) for s in ((64, 32, 3), (64, 64, 3)))
    together = encoder.pooled([square, tall], fit="pad")
    alone = np.concatenate([encoder.pooled([square]), encoder.pooled([tall], fit="pad")])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert np.abs(together[1] - encoder.pooled([tall], fit="stretch")).max() > 1e-3


def test_a_compiled_encoder_passes_its_whole_tower_to_the_compiler(
    tiny_clip: Path, encoder: ClipEncoder, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    """The compiler is replaced, because compiling takes a minute."""
    compiled_modules = []

    def compile_module(module, **options):
        compiled_modules.append((sum(weight.numel() for weight in module.parameters()), options))
        return module

    monkeypatch.setattr(torch, "compile", compile_module)
    compiled = ClipEncoder.load(str(tiny_clip), precision="fp32", device="cpu", compiled=True)
    weights = sum(weight.numel() for weight in encoder.model.visual.parameters())
    assert compiled_modules == [(weights, {"dynamic": False, "options": {"freezing": True}})]
    np.testing.assert_array_equal(compiled.pooled(images), encoder.pooled(images))
