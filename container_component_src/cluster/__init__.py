"""Access to a Kubernetes cluster, and the parts that all jobs started there share."""
