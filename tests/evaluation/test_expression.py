"""Tests of mesh distances, mouth and gaze."""

import numpy as np
from scipy.spatial.transform import Rotation

from facedancer.evaluation.instruments import face_mesh
from facedancer.evaluation.metrics import expression
from tests import testing


def mesh(seed=0, count=2):
    return np.random.default_rng(seed).normal(size=(count, 478, 3)) * 50.0


class ExpressionTest(testing.TestCase):
    def test_pose_scale_and_place_are_taken_out(self):
        still = mesh()
        turn = Rotation.from_euler("xyz", [20, -40, 10], degrees=True).as_matrix()
        moved = 0.3 * still @ turn.T + [5.0, -9.0, 100.0]
        self.assert_close(expression.procrustes(moved, still), still, atol=1e-8)
        self.assert_close(expression.mesh_distance(moved, still), np.zeros(2))

    def test_mirrored_face_is_not_the_same(self):
        still = mesh()
        mirrored = still * [-1.0, 1.0, 1.0]
        self.assertTrue((expression.mesh_distance(mirrored, still) > 10.0).all())

    def test_procrustes_is_the_best_similarity(self):
        a, b = mesh(1, 1), mesh(2, 1)
        found = ((expression.procrustes(a, b) - b) ** 2).sum()
        for seed in range(5):
            turn = Rotation.random(random_state=seed).as_matrix()
            other = (a - a.mean(1)) @ turn.T * 0.05 + b.mean(1)
            self.assertLess(found, ((other - b) ** 2).sum())

    def test_mesh_distance_by_hand(self):
        still = mesh(count=1)
        moved = still.copy()
        moved[0, 100] += [0.0, 0.0, 47.8]  # 0.1 on the average; the fit spreads it
        eyes = np.linalg.norm(still[0, 33] - still[0, 263])
        found = expression.mesh_distance(moved, still)[0]
        self.assertBetween(found, 0.9 * 10.0 / eyes, 3.0 * 10.0 / eyes)

    def test_mouth_opening(self):
        face = np.zeros((1, 478, 3))
        face[0, 78], face[0, 308] = [10, 50, 0], [50, 50, 0]
        face[0, 13], face[0, 14] = [30, 45, 0], [30, 57, 0]
        self.assert_close(expression.mouth_opening(face), np.array([30.0]))

    def test_gaze(self):
        face = np.zeros((1, 478, 3))
        for (a, b), left in (((33, 133), 0.0), ((362, 263), 100.0)):
            face[0, a], face[0, b] = [left, 20, 0], [left + 40, 20, 0]
        face[0, 468], face[0, 473] = [30, 24, 0], [130, 24, 0]
        self.assert_close(expression.gaze(face), np.array([[25.0, 10.0]]))
        turn = Rotation.from_euler("z", 30, degrees=True).as_matrix()
        self.assert_close(expression.gaze(face @ turn.T), np.array([[25.0, 10.0]]))

    def test_vector_distance(self):
        a, b = np.zeros((2, 3)), np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
        self.assert_close(expression.vector_distance(a, b), np.array([5.0, 0.0]))

    def test_split_of_the_mesh_vector(self):
        vector = np.arange(2 * 1487, dtype=float).reshape(2, 1487)
        points, shapes, score = face_mesh.split(vector)
        self.assertEqual((points.shape, shapes.shape), ((2, 478, 3), (2, 52)))
        self.assertEqual(points[0, 1].tolist(), [3.0, 4.0, 5.0])
        self.assertEqual((shapes[0, 0], score[1]), (1434.0, 2973.0))

    def test_blendshape_points(self):
        self.assertLen(face_mesh.SUBSET, 146)
        self.assertEqual(face_mesh.SUBSET[-10:], tuple(range(468, 478)))
