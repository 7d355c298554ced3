import numpy as np


class Rotation:
    def __init__(self, matrix):
        self.matrix = matrix

    def __mul__(self, other):
        return Rotation(self.matrix @ other.matrix)


def quat_from_angle_axis(theta, axis):
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return Rotation(np.eye(3) + np.sin(theta) * cross + (1 - np.cos(theta)) * cross @ cross)
