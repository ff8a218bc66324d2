"""What the OpenAPI schema says about every call: the token of a volunteer, and that errors are problem+json."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class VolunteerTokenScheme(OpenApiAuthenticationExtension):
    target_class = "collector.authentication.VolunteerToken"
    name = "volunteerToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <token>`, with the token that `POST /api/v1/volunteers` answered.",
        }


SCHEMA = {"schema": {"$ref": "#/components/schemas/Problem"}}
AS_JSON, PROBLEM = {"application/json": SCHEMA}, {"application/problem+json": SCHEMA}


def errors_are_problems(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: each error answer has the type that config.errors gives it, and the answers that
    stand before any view (a wrong token, a body that is too large) are listed with every call that can meet them.
    """
    operations = [operation for methods in result["paths"].values() for operation in methods.values()]
    for operation in operations:
        answers = operation["responses"]
        if any(operation.get("security", ())):
            answers.setdefault("401", {"description": "The token is missing or wrong."})
        if "requestBody" in operation:
            operation["requestBody"]["required"] = True  # drf-spectacular leaves it out where the body is no serializer
            answers.setdefault("413", {"description": "The body is too large."})
        for status, answer in answers.items():
            if status >= "400" and answer.get("content") in (None, AS_JSON):
                answer["content"] = PROBLEM
    return result
