"""What providers report about mails that they took: bounces, complaints, receipts."""
