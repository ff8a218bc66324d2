"""What the OpenAPI schema says beyond the views: the volunteer's token, errors as problem+json, the methods of tus."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

OPTIONS_HEADERS = ("Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm")
HEAD_REFUSALS = ("401", "404", "409", "410", "412", "413", "415", "422", "423", "429")


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


def tus_methods(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """HEAD and OPTIONS are calls of their own in tus; the generator passes them over everywhere."""
    one = result["paths"].get("/api/v1/tus/{upload_id}")
    if one is None:
        return result
    patch = one["patch"]
    # What is complete is taken in by this call, so it can be refused by it too. An answer to HEAD has no body.
    refused = {status: {"description": "refused"} for status in HEAD_REFUSALS}
    length = {"schema": {"type": "integer"}, "description": "bytes of the whole photo"}
    metadata = {"schema": {"type": "string"}, "description": "as it was sent"}
    one["head"] = {
        "operationId": "tus_standing",
        "description": "How many bytes are here. What is complete but was not taken in yet is taken in now.",
        "parameters": [part for part in patch["parameters"] if part["name"] in {"upload_id", "Tus-Resumable"}],
        "tags": patch["tags"],
        "security": patch["security"],
        "responses": {
            "200": {
                "headers": {**patch["responses"]["204"]["headers"], "Upload-Length": length, "Upload-Metadata": metadata},
                "description": "how it stands",
            },
            **refused,
        },
    }
    can = {name: {"schema": {"type": "string"}} for name in OPTIONS_HEADERS}
    for address, path in (("/api/v1/tus/", result["paths"]["/api/v1/tus/"]), ("/api/v1/tus/{upload_id}", one)):
        of_one = "{" in address
        path["options"] = {
            "operationId": "tus_options_of_one" if of_one else "tus_options",
            "description": "What this server can. Needs no token.",
            "parameters": [part for part in patch["parameters"] if of_one and part["name"] == "upload_id"],
            "tags": patch["tags"],
            "security": [],
            "responses": {"204": {"headers": can, "description": "what it can"}}
            | ({"404": patch["responses"]["404"]} if of_one else {}),
        }
    return result
