"""Accounts, their subscriptions and their money, against Postgres and the local Stripe server."""
