"""Skyboxes whose colours encode directions."""

import numpy as np


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
