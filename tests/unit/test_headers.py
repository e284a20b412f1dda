"""The policy names a page's own scripts by their hash, and nothing that was slipped in."""

import base64
import hashlib

from tabs._headers import policy


def digest(script):
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def test_inline_scripts_are_named_by_their_hash_and_files_are_not():
    html = b'<head><script>a()</script><script type="module" src="x.js"></script><script data-x>\nb(1 < 2)\r\n</script>'
    found = policy(html, more=["later()"]).decode()
    assert digest("a()") in found and digest("\nb(1 < 2)\n") in found and digest("later()") in found
    assert found.count("sha256-") == 3


def test_without_a_page_no_inline_script_runs():
    found = policy().decode()
    assert "script-src 'self' 'unsafe-eval';" in found and "sha256" not in found
