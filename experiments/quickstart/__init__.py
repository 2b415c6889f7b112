"""The project's main job: a cluster of real processes whose leader and controller are killed under
load."""
