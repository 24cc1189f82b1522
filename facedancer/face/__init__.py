"""Where a face is: boxes, landmarks, alignment, pose, outlines, maps."""
