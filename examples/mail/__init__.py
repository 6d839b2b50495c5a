"""Spam or not: 3,100 real e-mails from the SpamAssassin corpus, and rules of thumb about them."""
