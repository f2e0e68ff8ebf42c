"""Fairtrial from Apache Airflow: operators, a sensor, a trigger. Docs: docs/ci.md of the project."""
