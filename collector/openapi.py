"""How the OpenAPI schema describes the token of a volunteer."""

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
