"""Access to a Kubernetes cluster, and what all jobs started there have in common."""
