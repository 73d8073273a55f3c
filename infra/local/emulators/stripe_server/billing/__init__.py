"""Everything about money in the local Stripe server: subscriptions, invoices, payments, refunds, disputes, pages.

The pure part comes first: `periods`, `proration`, `taxes` and `lines` know no account. Above them the layers only look
down: payments, invoices, statuses, collection, renewals, changes, operations and pages.
"""
