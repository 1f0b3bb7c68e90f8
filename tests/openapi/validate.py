"""Whether a document is one of OpenAPI 3.1, and each of its examples what its schema says. Reads it from standard input."""

import json
import sys

import jsonschema_rs
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def examples(document):
    """Every schema with an example of it, and where it is."""
    for path, item in document["paths"].items():
        for parameter in item.get("parameters", []):
            yield f"{path} {parameter['name']}", parameter["schema"], parameter["example"]
        for method, operation in item.items():
            if method == "parameters":
                continue
            where = f"{method} {path}"
            contents = dict(operation.get("requestBody", {}).get("content", {}))
            for status, response in operation["responses"].items():
                contents |= {f"{status} {kind}": content for kind, content in response.get("content", {}).items()}
            for parameter in operation.get("parameters", []):
                contents |= parameter.get("content", {})
            for kind, content in contents.items():
                yield f"{where} {kind}", content["schema"], content["example"]


document = json.load(sys.stdin)
validate(document, cls=OpenAPIV31SpecValidator)
tried = 0
for where, schema, example in examples(document):
    whole = {"$schema": DIALECT, "components": document["components"], **schema}
    errors = list(jsonschema_rs.Draft202012Validator(whole).iter_errors(example))
    if errors:
        sys.exit(f"the example of {where}: {errors[0].message} at {list(errors[0].instance_path)}")
    tried += 1
print(tried)
