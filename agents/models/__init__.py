"""The only model client: one protocol, one endpoint client, and what guards every call."""
