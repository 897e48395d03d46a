"""Which searches one poll makes, and what their pages prove. Pure."""
