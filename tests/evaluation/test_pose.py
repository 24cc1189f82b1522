"""Tests of pose: known rotations come back, differences wrap."""

import numpy as np
from absl.testing import parameterized
from scipy.spatial.transform import Rotation

from facedancer.evaluation.metrics import expression
from facedancer.face import alignment, pose
from tests import testing


class PoseTest(testing.TestCase):
    @parameterized.parameters(
        (0, 0, 0), (30, 0, 0), (0, -20, 0), (0, 0, 40), (-45, 15, 10), (60, -25, -80)
    )
    def test_known_pose_is_found(self, *angles):
        points = pose.project(angles, size=80.0) * 1.7 + [300.0, -40.0]
        found = pose.solve_pose(points)
        self.assert_close(found, np.float64(angles), rtol=0.02, atol=0.5)

    @parameterized.parameters((30, 0, 0), (10, -20, 50), (-70, 33, -120))
    def test_rotation_by_scipy(self, *angles):
        # y points down: turning the nose right is a negative angle about that axis.
        yaw, pitch, roll = angles
        turn = Rotation.from_euler("yxz", [-yaw, pitch, roll], degrees=True)
        self.assert_close(pose.rotation(angles), turn.as_matrix(), atol=1e-9)
        self.assert_close(pose.angles_of(turn.as_matrix()), np.float64(angles))

    def test_signs(self):
        nose = np.array([0.0, 0.0, -1.0])  # towards the camera
        self.assertGreater((pose.rotation([20, 0, 0]) @ nose)[0], 0.3)  # right
        self.assertGreater((pose.rotation([0, 20, 0]) @ nose)[1], 0.3)  # down
        eyes = pose.project([0, 0, 20])
        self.assertGreater(eyes[1, 1], eyes[0, 1])  # the right eye sinks: clockwise

    def test_template_looks_into_the_camera(self):
        yaw, _, roll = pose.solve_pose(alignment.template(112))
        self.assertLess(abs(yaw), 4.0)
        self.assertLess(abs(roll), 1.0)

    def test_points_that_coincide_have_no_pose(self):
        for points in (np.ones((5, 2)), np.full((5, 2), np.nan)):
            self.assertTrue(np.isnan(pose.solve_pose(points)).all())

    def test_differences_wrap(self):
        a, b = np.array([[170.0, 0.0, -10.0]]), np.array([[-170.0, 5.0, 10.0]])
        self.assert_close(pose.angle_difference(a, b), np.array([[20.0, 5.0, 20.0]]))
        self.assert_close(pose.pose_distance(a, b), np.array([np.sqrt(825.0)]))


class LandmarkExpressionTest(testing.TestCase):
    def test_turned_scaled_moved_face_has_the_same_expression(self):
        straight = pose.project([0, 0, 0], size=50.0)
        turned = pose.project([25, -10, 15], size=90.0) + [40.0, 7.0]
        distance = expression.landmark_distance(straight[None], turned[None])
        self.assertLess(distance[0], 0.6)  # percent of the eyes' distance

    def test_longer_nose_is_seen_in_any_pose(self):
        for angles in ([0, 0, 0], [20, 5, -10]):
            points = pose.project(angles, size=100.0)
            moved = points + np.array([0.0, 0.0])
            moved[3:] += (points[3:].mean(axis=0) - points[:2].mean(axis=0)) * 0.3
            distance = expression.landmark_distance(points[None], moved[None])
            self.assertGreater(distance[0], 2.0)
