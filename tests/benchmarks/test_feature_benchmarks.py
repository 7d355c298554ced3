def test_encoding_reports_every_precision_with_its_cosine(figures_of):
    figures = figures_of("encoding", "--threads", "1")
    for precision in ("open_clip fp32", "fp32", "medium", "bf16"):
        assert figures[f"house_clip: {precision}"]["value"] > 0
        assert figures[f"house_clip: {precision}, smallest cosine"]["reached"]
    whole = figures["whole extraction of house_00"]["value"]
    assert figures["whole extraction of house_00, images"]["value"] == 36 * whole > 0
    for part in ("rendering", "cutting views"):
        assert figures[f"whole extraction of house_00: {part}"]["value"] > 0


def test_store_reports_reads_of_every_kind(figures_of):
    figures = figures_of("store")
    for kind in (
        "store, float16",
        "sharded store, as float32",
        "HDF5 by keys, open file",
        "HDF5 by keys, reopened for each",
    ):
        assert figures[f"64 viewpoints, {kind}"]["value"] > 0
