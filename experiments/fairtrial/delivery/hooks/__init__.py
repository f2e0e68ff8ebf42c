"""How a retraining is started: a command, a webhook, a run of Airflow or Kubeflow."""
