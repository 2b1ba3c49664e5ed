"""Where strangers' code runs: isolated workspaces and test results as data; imports nothing else of ours."""
