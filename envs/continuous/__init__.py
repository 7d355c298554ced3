"""Vision-and-language navigation without a navigation graph, as in VLN-CE (R2R-CE and RxR-CE)."""
