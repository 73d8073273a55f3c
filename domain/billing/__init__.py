"""What a plan allows, when it ends, and what is said and paid back: pure rules of subscription billing (billing.md)."""
