"""Skyboxes whose colours encode directions."""

from pathlib import Path

import numpy as np
from PIL import Image


def marked_faces(rotation, size=64):
    """Faces of a viewpoint with that rotation (3, 3) in its pose, drawn face by face."""
    right, up, ahead = -np.asarray(rotation, float).T
    offset = (2 * np.arange(size) + 1) / size - 1
    faces = [
        # Directions of the centre, right and top of each face: up, four around, down.
        (up, right, -ahead),
        (ahead, right, up),
        (right, -ahead, up),
        (-ahead, -right, up),
        (-right, ahead, up),
        (-up, right, ahead),
    ]
    pictures = []
    for middle, rightwards, upwards in faces:
        rays = (
            middle
            + offset[None, :, None] * rightwards[None, None]
            - offset[:, None, None] * upwards[None, None]
        )
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        pictures.append(np.rint(127.5 + 127 * rays).astype(np.uint8))
    return np.concatenate(pictures, axis=1)


def write_skyboxes(scans: Path) -> Path:
    """Write skyboxes of the tiny world into a folder of scans; a later one is brighter."""
    for scan, letter, count in (("attic", "a", 11), ("barn", "b", 6)):
        folder = scans / scan / "matterport_skybox_images"
        folder.mkdir(parents=True)
        for i in range(count):
            faces = np.maximum(marked_faces(np.eye(3), 16), 10 * i)
            Image.fromarray(faces).save(folder / f"{letter}{i}_skybox_small.jpg")
    return scans
