"""Adapters to Prefect, MLflow and DVC: where trainings run, what is tracked, and what a person sees meanwhile."""
