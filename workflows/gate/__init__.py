"""The gate's single conditions: each is a pure judgement, or one run in a sandbox."""
