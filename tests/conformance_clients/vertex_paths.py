"""The paths of Vertex AI's service, which the server has by ``AIP_PREDICT_ROUTE`` and ``AIP_HEALTH_ROUTE``."""

ENDPOINT = "projects/my-project/locations/us-central1/endpoints/7"
PREDICT = f"/v1/{ENDPOINT}:predict"
HEALTH = f"/v1/{ENDPOINT}/health"
