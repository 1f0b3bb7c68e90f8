"""The OpenFeature SDK for Python with its OFREP provider (both from PyPI) against a serin. Argument: the base URL."""

import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

api.set_provider(OFREPProvider(sys.argv[1]))
client = api.get_client()
staff = EvaluationContext("user-1", {"email": "ada@serin.example", "age": 36, "tags": ["a", "b"], "nested": {"x": None}})
guest = EvaluationContext("user-2", {"email": "bob@other.example"})


def same(details, value, reason, variant, error=None):
    found = (details.value, details.reason, details.variant, details.error_code)
    expected = (value, reason, variant, error)
    assert found == expected and type(details.value) is type(value), (details, expected)


same(client.get_boolean_details("new-checkout", False), True, "STATIC", "on")
same(client.get_string_details("banner", ""), "Grüße", "STATIC", "plain")
same(client.get_integer_details("limit", 0), 3, "STATIC", "three")
same(client.get_float_details("rate", 0.0), 3.0, "STATIC", "three")
same(client.get_object_details("theme", {}), {"color": "black", "sizes": [1, 2.5]}, "STATIC", "dark")
same(client.get_boolean_details("staff", False, staff), True, "TARGETING_MATCH", "yes")
same(client.get_boolean_details("staff", True, guest), False, "DEFAULT", "no")
# This provider does not encode keys itself.
same(client.get_integer_details("team/limit", 0), 4, "STATIC", "four")
assert client.get_object_details("theme", {}).flag_metadata == {"owner": "web", "set": "test"}

# Without a value the caller's own holds. This provider insists on a variant, and calls its absence an error.
assert client.get_string_value("retired", "mine") == "mine"
assert client.get_string_value("no-default", "mine") == "mine"

missing = client.get_boolean_details("nope", True)
assert (missing.value, missing.error_code) == (True, "FLAG_NOT_FOUND"), missing
assert "nope" in missing.error_message, missing
broken = client.get_integer_details("broken", 7)
assert (broken.value, broken.error_code) == (7, "PARSE_ERROR"), broken
unknown = client.get_integer_details("unknown-variant", 7)
assert (unknown.value, unknown.error_code) == (7, "GENERAL"), unknown
mismatch = client.get_string_details("new-checkout", "mine")
assert (mismatch.value, mismatch.error_code) == ("mine", "TYPE_MISMATCH"), mismatch
print("done")
