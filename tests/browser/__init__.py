"""Our pages in a real Chromium, on the whole stack."""
