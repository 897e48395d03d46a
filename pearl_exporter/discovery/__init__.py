"""The platform's list of outbounds, and the account."""
