from agents.continuous.features import FrozenFeatures
from tests.agents.continuous.conftest import CornerEncoder


class QuickEncoder(CornerEncoder):
    """The same weights with another activation."""

    settings_sha256 = "1" * 64


def test_keys_of_features_depend_on_settings_that_are_not_in_the_weights():
    plain, quick = (
        FrozenFeatures(encoder, 16)  # type: ignore[arg-type]
        for encoder in (CornerEncoder(), QuickEncoder())
    )
    assert plain.key == {"encoder": "0" * 64, "precision": "fp32", "depth_pixels": "16"}
    assert quick.key != plain.key
