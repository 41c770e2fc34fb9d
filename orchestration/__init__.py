"""How things run: jobs, partitions, sensors, records in DVC and MLflow. No numerics."""
