"""What the HTTP endpoints and pages answer, and to which clients."""
